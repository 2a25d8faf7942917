package trainset

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"stargate/lm"
)

// words encodes each word as its length; a message is trained whole.
type words struct{}

func (words) Encode(chat lm.Chat, loss []int) (ids []int32, mask []bool, err error) {
	ids, mask = []int32{1}, []bool{false}
	for i, m := range chat {
		if strings.Contains(m.Content, "refuse") {
			return nil, nil, errors.New("this conversation has no tokens")
		}
		for _, w := range strings.Fields(m.Content) {
			ids, mask = append(ids, int32(len(w))), append(mask, slices.Contains(loss, i))
		}
	}
	return ids, mask, nil
}

func example(key, question, answer string) lm.Example {
	return lm.Example{Key: key, Messages: lm.Chat{{Role: lm.User, Content: question}, {Role: lm.Assistant, Content: answer}}, Loss: []int{1}}
}

func keys(rows []Row) []string {
	var ks []string
	for _, r := range rows {
		ks = append(ks, r.Key)
	}
	return ks
}

func TestASetIsDividedByKey(t *testing.T) {
	var examples []lm.Example
	for i := range 200 {
		examples = append(examples, example(fmt.Sprintf("k%03d", i), "a b c", "d e"))
	}
	examples = append(examples, example("long", strings.Repeat("w ", 50), "x"))
	s, err := New(words{}, examples, 20, 0.25, 7)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.Held); n < 25 || n > 75 || n+len(s.Train) != 200 {
		t.Errorf("%d held out and %d to train on, of 200", n, len(s.Train))
	}
	if !slices.Equal(s.Dropped, []string{"long"}) {
		t.Errorf("dropped %v", s.Dropped)
	}
	// Without half of them the others are where they were, and the order of the list is nothing.
	half := slices.Clone(examples[:100])
	slices.Reverse(half)
	h, err := New(words{}, half, 20, 0.25, 7)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(keys(h.Held), keys(s.Held)[:len(h.Held)]) {
		t.Errorf("held out of half: %v, of all: %v", keys(h.Held), keys(s.Held))
	}
	if log := s.Log(); log.Tokens != 2*len(s.Train) || log.Examples != len(s.Train) || log.HeldOut != len(s.Held) {
		t.Errorf("log %+v", log)
	}
	if s.Longest() != 6 {
		t.Errorf("the longest row has %d tokens", s.Longest())
	}
}

func TestEpochsAreShuffles(t *testing.T) {
	var rows []Row
	for i := range 30 {
		rows = append(rows, Row{Key: fmt.Sprint(i), Tokens: []int32{1, 2}, Loss: []bool{false, true}})
	}
	s, err := Split(rows, 10, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	one, two, other := keys(s.Epoch(3, 0)), keys(s.Epoch(3, 1)), keys(s.Epoch(4, 0))
	if slices.Equal(one, two) || slices.Equal(one, other) {
		t.Error("two epochs or two seeds have one order")
	}
	for _, order := range [][]string{one, two, other} {
		if slices.Sort(order); !slices.Equal(order, keys(s.Train)) {
			t.Errorf("an epoch is %v", order)
		}
	}
	if h := (lm.Hyper{Epochs: 2, BatchSize: 8}); s.Steps(h) != 8 || s.StepsPerEpoch(h) != 4 {
		t.Errorf("%d steps, %d each epoch", s.Steps(h), s.StepsPerEpoch(h))
	}
}

func TestWhatCannotBeTrainedOnIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		examples []lm.Example
		want     string
	}{
		"twice":    {[]lm.Example{example("a", "x", "y"), example("a", "x", "z")}, `"a" occurs twice`},
		"no loss":  {[]lm.Example{{Key: "b", Messages: lm.Chat{{Role: lm.User, Content: "x"}}}}, `"b"`},
		"no words": {[]lm.Example{example("c", "x", " ")}, `"c"`},
		"refused":  {[]lm.Example{example("d", "refuse", "y")}, `"d"`},
	} {
		if _, err := New(words{}, c.examples, 100, 0, 0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
}

// What is written is read back, token by token and flag by flag.
func TestTokensAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Row {
			ids := rapid.SliceOfN(rapid.Int32Range(0, 99999), 2, 20).Draw(t, "ids")
			loss := rapid.SliceOfN(rapid.Bool(), len(ids), len(ids)).Draw(t, "loss")
			loss[0], loss[len(loss)-1] = false, true
			return Row{Tokens: ids, Loss: loss}
		}), 0, 5).Draw(t, "rows")
		var b bytes.Buffer
		if err := WriteTokens(&b, rows); err != nil {
			t.Fatal(err)
		}
		got, err := ReadTokens(&b)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(got, rows, func(a, b Row) bool { return slices.Equal(a.Tokens, b.Tokens) && slices.Equal(a.Loss, b.Loss) }) {
			t.Fatalf("wrote %v, read %v", rows, got)
		}
	})
}

// Keys name the place in the order, so a program that shuffles as we do needs them.
func TestKeysAreKept(t *testing.T) {
	rows := []Row{{Key: "a", Tokens: []int32{1, 2}, Loss: []bool{false, true}}, {Key: "b", Tokens: []int32{3, 4}, Loss: []bool{false, true}}}
	for name, want := range map[string][]string{"with": {"a", "b"}, "without": {"line 1", "line 2"}} {
		write := WriteTokens
		if name == "with" {
			write = WriteKeyed
		}
		var b bytes.Buffer
		if err := write(&b, rows); err != nil {
			t.Fatal(err)
		}
		got, err := ReadTokens(&b)
		if err != nil || !slices.Equal(keys(got), want) {
			t.Errorf("%s keys: %v, %v", name, keys(got), err)
		}
	}
}

func TestWeights(t *testing.T) {
	r := Row{Key: "a", Tokens: []int32{1, 2, 3}, Loss: []bool{false, true, false}}
	if r.Weight(0) != 0 || r.Weight(1) != 1 || (Set{Train: []Row{r}}).Weighted() {
		t.Error("a row without weights has some")
	}
	r.Weights = []float32{0, 0.5, 0}
	if err := r.Check(); err != nil || r.Weight(1) != 0.5 || !(Set{Train: []Row{r}}).Weighted() {
		t.Errorf("weight %g, %v", r.Weight(1), err)
	}
	for _, w := range [][]float32{{0, 0.5}, {0, 0, 0}, {0, 1, 1}, {0, float32(math.Inf(1)), 0}, {0, float32(math.NaN()), 0}, {-1, 1, 0}} {
		r.Weights = w
		if err := r.Check(); err == nil {
			t.Errorf("weights %v are accepted", w)
		}
	}
}

func TestLinesThatCannotBeRead(t *testing.T) {
	good := `{"input_ids":[5,6],"labels":[-100,6]}`
	for line, want := range map[string]string{
		`{"input_ids":[5,6],"labels":[-100,7]}`:                        "label is 7",
		`{"input_ids":[5,6],"labels":[-100]}`:                          "1 labels",
		`{"input_ids":[5,6],"labels":[-100,-100]}`:                     "no token",
		`{"input_ids":[5,6],"labels":[5,6]}`:                           "nothing precedes",
		`{"input_ids":[5,6],"labels":[-100,6],"attention_mask":[1,0]}`: "not padded",
		`{"input_ids":[5,6],"labels":[-100,6],"attention_mask":[1]}`:   "attention_mask of 1",
		`{"input_ids":[5,-6],"labels":[-100,-6]}`:                      "not negative",
		`{"messages":[]}`: "no input_ids",
		`{`:               "line 2",
	} {
		if _, err := ReadTokens(strings.NewReader(good + "\n" + line + "\n")); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: %v, want line 2 and %q in it", line, err, want)
		}
	}
}

func TestChatsAreRead(t *testing.T) {
	chat := `{"role":"system","content":"s"},{"role":"user","content":"u"},{"role":"assistant","content":"a"},{"role":"user","content":"v"},{"role":"assistant","content":"b"%s}`
	for line, want := range map[string]string{
		`{"messages":[` + fmt.Sprintf(chat, "") + `]}`:                         `line 1 [2 4]`,
		`{"key":"k","messages":[` + fmt.Sprintf(chat, `,"train":false`) + `]}`: `k [2]`,
		`{"messages":[` + fmt.Sprintf(chat, `,"weight":0`) + `]}`:              `line 1 [2]`,
		`{"messages":[` + fmt.Sprintf(chat, `,"weight":1`) + `],"loss":[4]}`:   `line 1 [4]`,
		`{"messages":[` + fmt.Sprintf(chat, `,"weight":0.5`) + `]}`:            `weight 0.5`,
		`{"messages":[{"role":"tool","content":"x"}]}`:                         `role "tool"`,
		`{"messages":[{"role":"assistant"}]}`:                                  `no content`,
		`{"messages":[{"role":"assistant","content":"x","train":false}]}`:      `no token`,
		`{"prompt":"x"}`: `no messages`,
	} {
		got, err := ReadMessages(strings.NewReader(line + "\n"))
		said := fmt.Sprint(err)
		if err == nil {
			said = fmt.Sprint(got[0].Key, " ", got[0].Loss)
		}
		if !strings.Contains(said, want) {
			t.Errorf("%s: %s, want %s", line, said, want)
		}
	}
}

func FuzzReadTokens(f *testing.F) {
	f.Add([]byte(`{"input_ids":[5,6],"labels":[-100,6]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, err := ReadTokens(bytes.NewReader(data))
		for _, r := range rows {
			if err == nil && r.Check() != nil {
				t.Errorf("accepted %v: %v", r, r.Check())
			}
		}
	})
}
