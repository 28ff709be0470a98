// The page is whole without this: it adds a filter, and opens what is folded
// before it is printed.
(() => {
  const get = (id) => document.getElementById(id);
  const [box, text, verdict, count] = [get("filter"), get("filter-text"), get("filter-verdict"), get("filter-count")];
  const rows = [...document.querySelectorAll("tr.finding")].map((row) => ({row, more: row.nextElementSibling, says: ""}));
  const matches = (r, words) => {
    r.says ||= (r.row.textContent + " " + r.more.textContent).toLowerCase();
    return words.every((w) => r.says.includes(w)) && (!verdict.value || r.row.dataset.verdict === verdict.value);
  };
  const apply = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const r of rows) {
      const out = !matches(r, words);
      r.row.classList.toggle("out", out);
      r.more.classList.toggle("out", out);
      shown += out ? 0 : 1;
    }
    for (const chapter of document.querySelectorAll(".chapter")) {
      chapter.classList.toggle("out", !chapter.querySelector("tr.finding:not(.out)"));
    }
    count.textContent = `${shown} of ${rows.length} shown`;
  };
  const reset = () => { text.value = verdict.value = ""; apply(); };
  text.addEventListener("input", apply);
  verdict.addEventListener("change", apply);
  get("filter-reset").addEventListener("click", reset);
  // A link to a row that is filtered out must still lead somewhere.
  addEventListener("hashchange", () => {
    const row = get(decodeURIComponent(location.hash.slice(1)));
    if (row && row.classList.contains("out")) { reset(); row.scrollIntoView(); }
  });
  for (const link of document.querySelectorAll("a[data-filter]")) {
    link.addEventListener("click", () => { text.value = ""; verdict.value = link.dataset.filter; apply(); });
  }
  // What is folded is printed where the whole was asked for.
  let folded = [];
  addEventListener("beforeprint", () => {
    if (!get("whole").checked) return;
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const d of folded) d.open = true;
  });
  addEventListener("afterprint", () => { for (const d of folded) d.open = false; folded = []; });
  box.hidden = false;
  apply();
})();
