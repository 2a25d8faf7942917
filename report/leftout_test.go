package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"stargate/eval"
)

// What was left out of the data is on the page and in the text, in numbers and by name.
func TestLeftOut(t *testing.T) {
	d := fakeData()
	var plain bytes.Buffer
	if err := HTML(&plain, d); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), `id="left-out"`) {
		t.Error("nothing is left out, and the page says something")
	}
	d.Result.LeftOut = &eval.LeftOut{Entries: []eval.LeftOutEntry{{Where: "tasks.jsonl line 9", Reason: "repeats tasks.jsonl line 2"}}}
	for i := range listedPairs + 20 {
		d.Result.LeftOut.Pairs = append(d.Result.LeftOut.Pairs, eval.LeftOutPair{Split: "B", Task: fmt.Sprintf("t%d", i), Persona: "<p>", Reason: []string{"refused", "empty"}[i%2]})
	}
	var page, text bytes.Buffer
	if err := HTML(&page, d); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`id="left-out"`, "t99 / &lt;p&gt;", "The first 100 of 120 pairs", "tasks.jsonl line 9", `<th scope="row">empty</th><td>0</td><td>60</td><td>0</td><td>60</td>`} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(page.String(), "t100 /") {
		t.Error("the page names more pairs than it says")
	}
	if err := Text(&text, d.Result); err != nil {
		t.Fatal(err)
	}
	if want := "Left out of the data: 120 pairs without a gold response (empty 60, refused 60); 1 empty or repeated entries"; !strings.Contains(text.String(), want) {
		t.Errorf("the text lacks %q", want)
	}
}
