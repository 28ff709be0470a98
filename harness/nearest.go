package harness

import "strings"

// Nearest is the word of known that differs least from word, ASCII case
// ignored; "" when none is near.
func Nearest(word string, known []string) string {
	best, least := "", min(4, len(word))
	for _, k := range known {
		if d := distance(strings.ToLower(k), strings.ToLower(word)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
