package report

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"stargate"
	"stargate/eval"
)

// hostile is text that tries to leave its place in the page.
const hostile = `</title></style></script><script>window.owned=1</script><img src=x onerror="window.owned=1">'"&`

func hostileData() Data {
	score := -3.0
	pair := stargate.Pair{Task: stargate.Task{ID: "t", Text: hostile}, Persona: stargate.Persona{ID: "u", Name: hostile, Text: hostile}, Gold: hostile}
	c := ConversationView{Turns: []stargate.Turn{{Question: hostile, Answer: hostile}}, LogProb: &score, Selected: true, Response: hostile, Outcome: hostile, Redrawn: []string{hostile}}
	d := Data{Result: fakeResult()}
	d.Result.Experiment = hostile
	d.Result.Dropped[hostile] = 1
	d.Result.Shapes[0].Evidence = hostile
	d.Iterations = []IterationView{{N: 1, Split: hostile, Pairs: 1, Dropped: map[string]int{hostile: 1}, Sample: []PairView{{Pair: pair, Conversations: []ConversationView{c}}}}}
	d.Test = TestView{Pairs: 1, Sample: []PairView{{Pair: pair, Conversations: []ConversationView{c}}}}
	d.Provenance.Version = hostile
	return d
}

func html(t *testing.T, d Data) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, d); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPageHoldsTheNumbers(t *testing.T) {
	page := html(t, fakeData())
	for _, want := range []string{
		`<h1>After 3 rounds of self-play the model asks better questions: 83 % of them are relevant (m0: 22 %, chance: 21 %), and the right answer is 9.79 nats (9.55–10.03) more probable after its conversations. Its responses beat those of m0 75 % of the time (95 % interval 70–79 %).</h1>`,
		`<td>−17.92 <span class="sem">±0.31</span></td>`,
		`<th scope="row">paper</th><td>−359.8</td><td>−350.9</td><td>−344.7</td><td>−339.2</td><td>&#43;20.6</td>`,
		`<tr><th scope="row">m2</th><td>0.757</td><td>0.705 – 0.803</td><td>300</td><td>200</td><td>39</td><td>61</td><td>1</td><td>0.660</td><td>0.720</td><td>0.740</td><td><i>0.727</i></td></tr>`,
		`<td role="cell" class="text verdict seen"><span aria-hidden="true">✓</span> seen</td>`,
		`<td role="cell" class="text verdict not-tested"><span aria-hidden="true">–</span> not tested</td>`,
		`<mark class="text">`,
		`40 of the 60 pairs of split A, chosen by a hash of their names.`,
		`<title>Q-experimental, m3: −8.13 (−8.44 to −7.82)</title>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if n := len(page); n > 3<<20 {
		t.Errorf("the page takes %d bytes, want less than 3 MiB", n)
	} else {
		t.Logf("page: %d KiB", n>>10)
	}
	for _, never := range []string{"http://", "https://", "NaN", "ZgotmplZ", "style=", "<no value>"} {
		if strings.Contains(page, never) {
			t.Errorf("the page holds %q", never)
		}
	}
}

// Every element that opens closes again in order, every id is there once, and every
// reference to an id finds it.
func TestPageStructure(t *testing.T) {
	for name, d := range map[string]Data{"full": fakeData(), "everything": fakeEverything(), "contest": fakeContest(), "bare": {Result: &eval.Result{Experiment: "nano", Models: []string{"m0"}}}, "hostile": hostileData()} {
		t.Run(name, func(t *testing.T) {
			for _, complaint := range lint(html(t, d)) {
				t.Error(complaint)
			}
		})
	}
}

func TestHostileTextStaysText(t *testing.T) {
	page := html(t, hostileData())
	if n := strings.Count(page, "<script"); n != 1 {
		t.Errorf("the page holds %d scripts, want its own alone", n)
	}
	if strings.Contains(page, "<img") {
		t.Error("the page holds an image that a text brought in")
	}
}

func TestWriteIsDeterministicAndComesBack(t *testing.T) {
	one, two, three := t.TempDir(), t.TempDir(), t.TempDir()
	for _, dir := range []string{one, two} {
		if err := Write(dir, fakeData()); err != nil {
			t.Fatal(err)
		}
	}
	back, err := Load(one)
	if err != nil {
		t.Fatal(err)
	}
	if err := Write(three, back); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{ResultFile, BrowseFile, PageFile} {
		want := read(t, filepath.Join(one, f))
		if !bytes.Equal(read(t, filepath.Join(two, f)), want) {
			t.Errorf("%s differs between two writes of the same data", f)
		}
		if !bytes.Equal(read(t, filepath.Join(three, f)), want) {
			t.Errorf("%s differs after loading it", f)
		}
	}
	if raw := read(t, filepath.Join(one, ResultFile)); !bytes.HasSuffix(raw, []byte("}\n")) {
		t.Error("report.json does not end with a newline")
	}
}

// A write that fails leaves the files of before, and no temporary file.
func TestWriteIsAtomic(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, fakeData()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, PageFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, PageFile), 0o755); err != nil { // a rename onto a folder fails
		t.Fatal(err)
	}
	before := read(t, filepath.Join(dir, ResultFile))
	if err := Write(dir, fakeData()); err == nil {
		t.Fatal("writing over a folder succeeded")
	}
	if !bytes.Equal(read(t, filepath.Join(dir, ResultFile)), before) {
		t.Error("report.json changed")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{BrowseFile, PageFile, ResultFile}; !slices.Equal(names, want) {
		t.Errorf("the folder holds %v, want %v", names, want)
	}
}

func TestWriteNeedsAResult(t *testing.T) {
	if err := Write(t.TempDir(), Data{}); err == nil {
		t.Error("a report without a result was written")
	}
}

func TestLoadSaysWhatIsMissing(t *testing.T) {
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), ResultFile) {
		t.Errorf("got %v, want an error that names %s", err, ResultFile)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// A report of a hundred thousand conversations is no larger than one of a thousand: it holds
// a sample, with the key of every pair, and counts of all.
func TestPageOfManyConversations(t *testing.T) {
	size := func(pairs int) int {
		d := fakeData()
		r := rand.New(rand.NewPCG(1, uint64(pairs)))
		d.Iterations = nil
		for n := 1; n <= 2; n++ {
			d.Iterations = append(d.Iterations, ViewOf(fakeIteration(r, n, pairs/2), fakeTruth{}, 24))
		}
		page := html(t, d)
		if want := count(pairs/2) + " pairs of split"; !strings.Contains(page, want) {
			t.Errorf("of %d pairs the page does not say %q", pairs, want)
		}
		return len(page)
	}
	small, large := size(100), size(10_000) // ten conversations each
	if large > small+small/10 {
		t.Errorf("100,000 conversations take %d bytes, 1,000 take %d", large, small)
	}
	t.Logf("100,000 conversations: %d KiB", large>>10)
}
