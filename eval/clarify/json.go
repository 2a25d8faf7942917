package clarify

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"stargate/lm"
)

// readAbgCoQA reads coqa_abg_{train,val,test}.json. The model sees the story, the one or two
// turns before that the file gives, and the question. An id is STORY|TURN|…, but some stories
// stand there under several ids: items of one text are one group.
//
// Checked on 2026-11-26 against abg-coqa/coqa_abg_val.json (1,092 items, 130 ambiguous) and
// coqa_abg_test.json (1,055, 123) of github.com/MeiqiGuo/AKBC2021-Abg-CoQA at 3fce3178; its
// coqa_abg_train.json was not at hand.
func readAbgCoQA(r io.Reader) ([]Item, error) {
	type turn struct {
		Question string `json:"question"`
		Answer   string `json:"answer"`
	}
	var file struct {
		Data []struct {
			ID            string `json:"id"`
			Story         string `json:"story"`
			Target        turn   `json:"target_turn"`
			History       []turn `json:"history_turns"`
			Ambiguity     string `json:"ambiguity"`
			Clarification turn   `json:"clarification_turn"`
			Source        string `json:"source"`
		} `json:"data"`
	}
	if err := json.NewDecoder(r).Decode(&file); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	var items []Item
	groups := map[string]string{} // the first id of a story, by its text
	for _, d := range file.Data {
		if d.Ambiguity != "ambiguous" && d.Ambiguity != "non_ambiguous" {
			return nil, fmt.Errorf("%w: item %s: ambiguity is %q, want ambiguous or non_ambiguous", ErrFormat, d.ID, d.Ambiguity)
		}
		if _, ok := groups[d.Story]; !ok {
			groups[d.Story], _, _ = strings.Cut(d.ID, "|")
		}
		i := Item{ID: d.ID, Group: groups[d.Story], Kind: d.Source, Ask: d.Ambiguity == "ambiguous", Reference: d.Clarification.Question}
		open := "Read this text. I will ask you about it.\n\n" + strings.TrimSpace(d.Story)
		for _, h := range append(d.History, d.Target) {
			if open != "" {
				h.Question, open = open+"\n\n"+h.Question, ""
			}
			i.Chat = append(i.Chat, user(h.Question), assistant(h.Answer))
		}
		i.Chat = i.Chat[:len(i.Chat)-1] // the target's answer is what is asked for
		items = append(items, i)
	}
	return items, nil
}

// readPACIFIC reads data/pacific/{train,validation}.json: dialogues about a table and
// paragraphs. Every user turn is a decision, with the true turns before it; questions and
// paragraphs stand in the file in their order. An answer is a list of spans, a number
// (arithmetic) or a text (count); where req_clari holds it is a list of one, the clarifying
// question.
//
// Checked on 2026-11-26 against data/pacific/validation.json (277 dialogues, 1,982 turns, 320
// to be asked about) and test.json (no labels) of github.com/dengyang17/PACIFIC at 66a52ad4,
// and UniPCQA/data_reader.py there, which reads the same fields; its train.json was not at hand.
func readPACIFIC(r io.Reader) ([]Item, error) {
	var file []struct {
		Table struct {
			UID   string     `json:"uid"`
			Table [][]string `json:"table"`
		} `json:"table"`
		Paragraphs []struct {
			Text string `json:"text"`
		} `json:"paragraphs"`
		Questions []struct {
			UID      string          `json:"uid"`
			Question string          `json:"question"`
			Answer   json.RawMessage `json:"answer"`
			Scale    string          `json:"scale"`
			Ask      *bool           `json:"req_clari"`
		} `json:"questions"`
	}
	if err := json.NewDecoder(r).Decode(&file); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	var items []Item
	for _, d := range file {
		var b strings.Builder
		b.WriteString("Here are a table and paragraphs of a financial report. I will ask you about them.\n\n")
		for _, row := range d.Table.Table {
			b.WriteString(strings.Join(row, " | ") + "\n")
		}
		for _, p := range d.Paragraphs {
			b.WriteString("\n" + p.Text + "\n")
		}
		open := b.String()
		var chat lm.Chat
		for n, q := range d.Questions {
			if q.Ask == nil {
				return nil, fmt.Errorf("%w: question %s has no req_clari: the published test file has no labels; take validation.json", ErrFormat, q.UID)
			}
			text := q.Question
			if n == 0 {
				text = open + "\n" + text
			}
			chat = append(chat, user(text))
			answer, err := plainAnswer(q.Answer, q.Scale)
			if err != nil {
				return nil, fmt.Errorf("%w: question %s: %w", ErrFormat, q.UID, err)
			}
			i := Item{ID: q.UID, Group: d.Table.UID, Kind: "first turn", Chat: append(lm.Chat(nil), chat...), Ask: *q.Ask}
			if n > 0 {
				i.Kind = "later turn"
			}
			if i.Ask {
				i.Reference = answer
			}
			items = append(items, i)
			chat = append(chat, assistant(answer))
		}
	}
	return items, nil
}

// plainAnswer is an answer as text: a list of spans, a number or a text, with its scale.
func plainAnswer(raw json.RawMessage, scale string) (string, error) {
	var spans []string
	if err := json.Unmarshal(raw, &spans); err == nil {
		return strings.TrimSpace(strings.Join(spans, ", ") + " " + scale), nil
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return "", fmt.Errorf("answer: %w", err)
	}
	return strings.TrimSpace(fmt.Sprint(v) + " " + scale), nil
}

// readIN3 reads data/IN3/{train,test}.jsonl.
//
// Checked on 2026-11-26 against both (1,261 tasks, 1,012 vague; 108, 95 vague) of
// github.com/OpenBMB/Tell_Me_More (before: HBX-hbx/Mistral-Interact) at 654fcec4.
func readIN3(r io.Reader) ([]Item, error) {
	var items []Item
	err := eachLine(r, func(n int, line []byte) error {
		var d struct {
			Category string `json:"category"`
			Task     string `json:"task"`
			Vague    *bool  `json:"vague"`
			Missing  []struct {
				Inquiry string `json:"inquiry"`
			} `json:"missing_details"`
		}
		if err := json.Unmarshal(line, &d); err != nil {
			return err
		}
		if d.Vague == nil {
			return errors.New(`there is no "vague"`)
		}
		i := Item{ID: fmt.Sprint("in3-", n), Group: d.Category, Kind: d.Category, Chat: lm.Chat{user(d.Task)}, Ask: *d.Vague}
		if len(d.Missing) > 0 {
			i.Reference = d.Missing[0].Inquiry
		}
		items = append(items, i)
		return nil
	})
	return items, err
}

// readCLAMBER reads clamber_benchmark.jsonl. Its lines are JSON texts that hold JSON; plain
// objects are taken too. The context is empty in all of them as published.
//
// Checked on 2026-11-26 against the file (3,202 questions, 1,601 to be asked about) and the
// README of github.com/zt991211/CLAMBER at 26ab7031.
func readCLAMBER(r io.Reader) ([]Item, error) {
	var items []Item
	err := eachLine(r, func(n int, line []byte) error {
		var inner string
		if json.Unmarshal(line, &inner) == nil {
			line = []byte(inner)
		}
		var d struct {
			Question  string          `json:"question"`
			Context   string          `json:"context"`
			Reference string          `json:"clarifying_question"`
			Ask       json.RawMessage `json:"require_clarification"`
			Category  string          `json:"category"`
			Subclass  string          `json:"subclass"`
		}
		if err := json.Unmarshal(line, &d); err != nil {
			return err
		}
		ask := strings.Trim(string(d.Ask), `"`)
		if ask != "0" && ask != "1" {
			return fmt.Errorf("require_clarification is %s, want 0 or 1", d.Ask)
		}
		text := d.Question
		if d.Context != "" {
			text = d.Context + "\n\n" + text
		}
		id := fmt.Sprint("clamber-", n)
		items = append(items, Item{ID: id, Group: id, Kind: d.Category + "/" + d.Subclass, Chat: lm.Chat{user(text)}, Ask: ask == "1", Reference: d.Reference})
		return nil
	})
	return items, err
}

// readOwn reads a user's own file.
func readOwn(r io.Reader) ([]Item, error) {
	var items []Item
	err := eachLine(r, func(n int, line []byte) error {
		var d struct {
			ID        string  `json:"id"`
			Group     string  `json:"group"`
			Kind      string  `json:"kind"`
			Text      string  `json:"text"`
			Messages  lm.Chat `json:"messages"`
			Ask       *bool   `json:"ask"`
			Reference string  `json:"reference"`
		}
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&d); err != nil {
			return err
		}
		switch {
		case d.Ask == nil:
			return errors.New(`there is no "ask" (true or false)`)
		case (d.Text == "") == (len(d.Messages) == 0):
			return errors.New(`want "text" or "messages"`)
		}
		if d.Text != "" {
			d.Messages = lm.Chat{user(d.Text)}
		}
		if d.ID == "" {
			d.ID = fmt.Sprint("line ", n)
		}
		if d.Group == "" {
			d.Group = d.ID
		}
		items = append(items, Item{ID: d.ID, Group: d.Group, Kind: d.Kind, Chat: d.Messages, Ask: *d.Ask, Reference: d.Reference})
		return nil
	})
	return items, err
}

// eachLine gives the lines that are not blank, numbered from 1.
func eachLine(r io.Reader, do func(n int, line []byte) error) error {
	in := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			if problem := do(n, line); problem != nil {
				return fmt.Errorf("%w, line %d: %w", ErrFormat, n, problem)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
	}
}
