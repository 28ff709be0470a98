// Package saved reads text as editors and other programs save it: with a byte order
// mark, with directives of YAML, with a document's end marked.
package saved

import (
	"bytes"
	"errors"
	"os"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// ErrUTF16 is the error of a text in UTF-16, as some editors save by default.
var ErrUTF16 = errors.New("it is UTF-16: save it as UTF-8")

// mark is the byte order mark of UTF-8, which says nothing (RFC 3629 section 6).
var mark = []byte("\xef\xbb\xbf")

// Text is a text without its byte order mark.
func Text(data []byte) ([]byte, error) {
	wide := bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff"))
	if head := data[:min(len(data), 64)]; wide || len(head) > 3 && bytes.Count(head, []byte{0}) > len(head)/3 {
		return nil, ErrUTF16
	}
	return bytes.TrimPrefix(data, mark), nil
}

// File reads a file of text.
func File(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Text(data)
}

// Documents are the documents in a file of YAML that hold anything: a directive is
// none, and nothing follows a mark at the end.
func Documents(text []byte, mode ...parser.Option) ([]ast.Node, error) {
	file, err := parser.ParseBytes(text, 0, mode...)
	if err != nil {
		return nil, err
	}
	var found []ast.Node
	for _, document := range file.Docs {
		switch document.Body.(type) {
		case nil, *ast.DirectiveNode, *ast.CommentGroupNode:
		default:
			found = append(found, document.Body)
		}
	}
	return found, nil
}
