package export

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"stargate/export/readback"
	"stargate/lm"
	"stargate/lm/local"
)

// Preference is a choice between two questions in one and the same place of a conversation,
// for trainers that learn from comparisons (Rafailov et al., 2023: DPO). This goes beyond the
// paper, which trains on the best conversation alone; see package selection for what is
// compared.
type Preference struct {
	Key        string     `json:"key"`
	Prompt     lm.Chat    `json:"prompt"`     // ends with a user message
	Chosen     string     `json:"chosen"`     // the assistant's next message
	Rejected   string     `json:"rejected"`   // another one
	Margin     float64    `json:"margin"`     // nats per gold token between the two conversations
	Provenance Provenance `json:"provenance"` // of the better one

	RejectedSample int     `json:"rejected_sample"` // the worse one's sample number
	RejectedScore  float64 `json:"rejected_score"`  // and score
}

// PreferenceFormat is how choices are written.
type PreferenceFormat struct {
	Name  string
	About string // what it is, in a line

	row  func(*job, Preference) (any, error)
	ours bool // no trainer reads it
}

// PreferenceFormats are those that [WritePreferences] knows.
func PreferenceFormats() []PreferenceFormat {
	return []PreferenceFormat{
		{Name: "preferences", About: "prompt, chosen and rejected question, with margin and provenance", ours: true, row: func(_ *job, p Preference) (any, error) { return p, nil }},
		{Name: "trl-dpo", About: "TRL's conversational prompt, chosen and rejected", row: dpoRow},
		{Name: "trl-dpo-text", About: "the same in the standard format, already in the model's template", row: dpoTextRow},
	}
}

// ParsePreferenceFormat finds a format by name; false if there is none of this name.
func ParsePreferenceFormat(name string) (PreferenceFormat, bool) {
	for _, f := range PreferenceFormats() {
		if f.Name == name {
			return f, true
		}
	}
	return PreferenceFormat{}, false
}

type preferenceRow struct {
	Prompt   any `json:"prompt"`
	Chosen   any `json:"chosen"`
	Rejected any `json:"rejected"`
}

// dpoRow is TRL's type Preference (docs/source/dataset_formats.md).
func dpoRow(_ *job, p Preference) (any, error) {
	say := func(words string) lm.Chat { return lm.Chat{{Role: lm.Assistant, Content: words}} }
	return preferenceRow{p.Prompt, say(p.Chosen), say(p.Rejected)}, nil
}

func dpoTextRow(j *job, p Preference) (any, error) {
	before, _ := j.text.Around()
	var sides [2]string
	var prompt string
	for i, words := range []string{p.Chosen, p.Rejected} {
		e, err := j.side(p, words)
		if err != nil {
			return nil, err
		}
		if prompt, sides[i], err = j.turn(e, len(p.Prompt)); err != nil {
			return nil, err
		}
	}
	return preferenceRow{strings.TrimPrefix(prompt, j.text.Decode(before)), sides[0], sides[1]}, nil
}

// side is one of the two ways on, as an example: its words and the end of the turn count.
func (j *job) side(p Preference, words string) (Example, error) {
	chat := append(p.Prompt[:len(p.Prompt):len(p.Prompt)], lm.Message{Role: lm.Assistant, Content: words})
	return Encode(j.text, lm.Example{Key: p.Key, Messages: chat, Loss: []int{len(p.Prompt)}}, 1, p.Provenance)
}

// Preferences gives choices in order, as [Source] gives examples.
type Preferences = iter.Seq2[Preference, error]

// WritePreferences is [Write] for choices. What TRL's DPOTrainer counts of each side must be its
// words and the end of the turn.
func WritePreferences(ctx context.Context, f PreferenceFormat, t *local.Text, src Preferences, path string, o Options) (Summary, error) {
	s, err := writePreferences(ctx, f, t, src, path, o)
	if err != nil {
		return s, fmt.Errorf("export %s: %w", f.Name, err)
	}
	return s, nil
}

func writePreferences(ctx context.Context, f PreferenceFormat, t *local.Text, src Preferences, path string, o Options) (Summary, error) {
	s := Summary{Format: f.Name, Path: path}
	j, err := newJob(t, o)
	if err != nil {
		return s, err
	}
	out, err := create(path, o.Force)
	if err != nil {
		return s, err
	}
	defer out.discard()
	w := bufio.NewWriterSize(out.file, 1<<16)
	for p, err := range counted(ctx, src, &s, "preference", func(p Preference) string { return p.Key }) {
		if err != nil {
			return s, err
		}
		r, err := f.row(j, p)
		if err != nil {
			return s, fmt.Errorf("preference %q: %w", p.Key, err)
		}
		line, err := marshal(r)
		if err != nil {
			return s, err
		}
		d, err := j.comparePreference(f, p, line, &s)
		if err != nil {
			return s, fmt.Errorf("preference %q: %w", p.Key, err)
		}
		s.Differences.add(p.Key, d)
		if !s.Differences.None() && !o.Lossy {
			continue
		}
		if _, err := w.Write(line); err != nil {
			return s, err
		}
		s.Rows++
	}
	switch {
	case s.Examples == 0:
		return s, errors.New("there are no preferences: nowhere did a better and a worse conversation part at a question; lower --min-margin, or draw more samples")
	case !s.Differences.None() && !o.Lossy:
		return s, fmt.Errorf("%w: %s. Way out: take trl-dpo-text, which ends where the turn does; or write it as it is with --lossy", ErrLossy, s.Differences)
	}
	if err := w.Flush(); err != nil {
		return s, err
	}
	if !f.ours {
		side := sideFile{suffix: ".trl.yaml", text: fmt.Sprintf("%smax_length: %d # the longest row\n", settingsNote, s.LongestRow)}
		if err := side.write(path); err != nil {
			return s, err
		}
		s.Beside = append(s.Beside, side.path(path))
	}
	return s, out.publish()
}

// comparePreference holds both sides, as DPOTrainer reads them, against what should count.
func (j *job) comparePreference(f PreferenceFormat, p Preference, line []byte, s *Summary) (sum Difference, err error) {
	var got [2]readback.Row
	if !f.ours {
		got[0], got[1], err = readback.DPO(j.text, line)
		if err := lost(&sum, err); err != nil {
			return sum, err
		}
	}
	for i, words := range []string{p.Chosen, p.Rejected} {
		e, err := j.side(p, words)
		if err != nil {
			return sum, err
		}
		s.Tokens += len(e.IDs)
		s.Trained += e.Trained()
		if f.ours {
			continue
		}
		s.LongestRow = max(s.LongestRow, len(got[i].IDs))
		d := Compare(j.text, e, got[i:i+1])
		sum.Missing, sum.Extra, sum.Tail, sum.Diverged = sum.Missing+d.Missing, sum.Extra+d.Extra, sum.Tail+d.Tail, sum.Diverged+d.Diverged
		if sum.First == "" {
			sum.First = d.First
		}
	}
	return sum, nil
}

// ReadPreferences reads what the format "preferences" wrote.
func ReadPreferences(r io.Reader, name string) Preferences {
	return func(yield func(Preference, error) bool) {
		in := NewReader(r, name)
		for {
			line, err := in.read()
			if errors.Is(err, io.EOF) {
				return
			}
			var p Preference
			if err == nil {
				if err = strict(line, &p); err != nil {
					err = in.fail("", fmt.Errorf("%w: %w", ErrFormat, err))
				}
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}
