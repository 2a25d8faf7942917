package rating

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
)

//go:embed page
var files embed.FS

// choices are the radio buttons of an item.
var choices = []struct{ Value, Words string }{{"A", "Reply A"}, {"tie", "tie"}, {"B", "Reply B"}, {"", "not answered"}}

var page = template.Must(template.New("sheet.tmpl").Funcs(template.FuncMap{
	"inc":      func(n int) int { return n + 1 },
	"verdicts": func() any { return choices },
}).ParseFS(files, "page/sheet.tmpl"))

// WriteHTML writes a sheet as one page that needs nothing else. Its content security policy
// allows its own style and script only, so that text which models wrote cannot act.
func WriteHTML(w io.Writer, s Sheet) error {
	style, err := files.ReadFile("page/sheet.css")
	if err != nil {
		return fmt.Errorf("rating: page: %w", err)
	}
	script, err := files.ReadFile("page/sheet.js")
	if err != nil {
		return fmt.Errorf("rating: page: %w", err)
	}
	var b bytes.Buffer
	err = page.Execute(&b, struct {
		Policy string
		Style  template.CSS
		Script template.JS
		Sheet  Sheet
	}{"default-src 'none'; base-uri 'none'; form-action 'none'; style-src " + source(style) + "; script-src " + source(script), template.CSS(style), template.JS(script), s})
	if err != nil {
		return fmt.Errorf("rating: page: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("rating: page: %w", err)
	}
	return nil
}

// source is a content security policy's name for an inline text.
func source(text []byte) string {
	sum := sha256.Sum256(text)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
