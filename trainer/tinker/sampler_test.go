package tinker

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"stargate/lm"
	"stargate/lm/local"
	"stargate/nano"
	"stargate/trainer/tinker/tinkertest"
)

// texts is the base model's side of texts.
func texts(t *testing.T) Text {
	t.Helper()
	files, err := nano.ModelFS()
	if err != nil {
		t.Fatal(err)
	}
	text, err := local.OpenTextFS(files)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What the server draws from the adapter it trained is what the downloaded adapter says here:
// the prompt, the sampling and the end of the turn arrive as they were meant.
func TestSampler(t *testing.T) {
	w := newWorld(t)
	s := w.server(t, tinkertest.Dialect{})
	s.Policy = func(adapter fs.FS) (*local.Model, error) { return w.model.OpenAdapter(adapter, 0) }
	tr := trainerOf(t, s, nil)
	r, err := tr.Train(t.Context(), w.job(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	here, err := w.model.OpenAdapter(os.DirFS(r.Dir), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	s.Lose("asample", 1)
	there, err := tr.Sampler(t.Context(), r.Remote, texts(t), w.model.Context())
	if err != nil {
		t.Fatal(err)
	}
	chat := lm.Chat{{Role: lm.User, Content: "Help me plan thing 7."}}
	finished := map[lm.FinishReason]int{}
	for i, p := range []lm.Sampling{{}, {MaxTokens: 3}, {Temperature: 1, Seed: 1 << 60}, {Temperature: 0.7, TopP: 0.9, Seed: 7, MaxTokens: 12}, {Temperature: 1, TopK: 3, Seed: 8}, {Temperature: 1, Seed: 9, Stop: []string{"a", "e"}}} {
		got, err := there.Generate(t.Context(), chat, p)
		if err != nil {
			t.Fatal(err)
		}
		p.Seed &= math.MaxInt32 // what the protocol can say
		want, err := here.Generate(t.Context(), chat, p)
		if err != nil {
			t.Fatal(err)
		}
		finished[got.Finish]++
		got.Usage, want.Usage = lm.Usage{}, lm.Usage{} // servers count the end of a turn, and what a stop string cuts
		if got.Text != want.Text || got.Finish != want.Finish || len(p.Stop) == 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("%d: the server draws %+v, the adapter here %+v", i, got, want)
		}
	}
	if finished[lm.FinishLength] == 0 {
		t.Errorf("nothing was cut off: %v", finished)
	}

	if _, err := there.Generate(t.Context(), lm.Chat{{Role: lm.User, Content: strings.Repeat("Help me plan. ", 100)}}, lm.Sampling{}); !errors.Is(err, lm.ErrContextLength) {
		t.Errorf("a prompt beyond the context: %v", err)
	}
	if _, err := tr.Sampler(t.Context(), r.Remote+"x", texts(t), 64); !errors.Is(err, ErrMissing) {
		t.Errorf("a model that is not there: %v", err)
	}
	if _, err := tr.Sampler(t.Context(), "m1", texts(t), 64); err == nil {
		t.Error("a name that is no address was taken")
	}
}

// Answers that break the protocol are errors, not texts.
func TestAnswersOfASampler(t *testing.T) {
	w := newWorld(t)
	s := &Sampler{text: texts(t)}
	end := w.model.Ends()[0]
	ids := w.model.Tokenize("Have some soup.", false)
	type sequences = []struct {
		Tokens     []int32 `json:"tokens"`
		StopReason string  `json:"stop_reason"`
	}
	for _, c := range []struct {
		what string
		r    sampleResult
		text string
		bad  bool
	}{
		{"with the end of the turn", sampleResult{sequences{{append(ids[:len(ids):len(ids)], end), "stop"}}}, "Have some soup.", false},
		{"without it", sampleResult{sequences{{ids, "stop"}}}, "Have some soup.", false},
		{"and something behind it", sampleResult{sequences{{append(append(ids[:len(ids):len(ids)], end), ids...), "length"}}}, "Have some soup.", false},
		{"another reason", sampleResult{sequences{{ids, "tool"}}}, "", true},
		{"none", sampleResult{}, "", true},
		{"too many tokens", sampleResult{sequences{{make([]int32, 99), "stop"}}}, "", true},
	} {
		got, err := s.completion(5, 50, c.r, nil)
		if (err != nil) != c.bad || err == nil && (got.Text != c.text || got.Finish != lm.FinishStop) {
			t.Errorf("%s: %+v, %v", c.what, got, err)
		}
	}
}
