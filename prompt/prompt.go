package prompt

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"text/template"

	"stargate/lm"
)

//go:embed sets
var embedded embed.FS

// files are all templates of a set; every one is required.
var files = []string{"task", "ask", "closing", "positive", "roleplay", "oracle", "judge", "preamble", personaFile}

// Set is a complete collection of templates. It is safe for concurrent use.
type Set struct {
	name      string
	templates map[string]*template.Template
	source    map[string]string
}

// Turn is one question and its answer.
type Turn struct{ Question, Answer string }

// Names lists the embedded sets.
func Names() []string { return []string{"default", "nano"} }

// Embedded is a set that comes with the program.
func Embedded(name string) (*Set, error) {
	if !slices.Contains(Names(), name) {
		return nil, fmt.Errorf("prompt set %q: not one of %s; give a directory with --prompts for your own", name, strings.Join(Names(), ", "))
	}
	dir, err := fs.Sub(embedded, "sets/"+name)
	if err != nil {
		return nil, fmt.Errorf("prompt set %q: %w", name, err)
	}
	return load(name, dir, nil)
}

// Load reads a user's directory of templates over the embedded set base: a file that is
// there replaces its twin, a file of another name is an error (a misspelt override must
// not be ignored).
func Load(base string, dir fs.FS) (*Set, error) {
	set, err := Embedded(base)
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, fmt.Errorf("prompts: %w", err)
	}
	for _, e := range entries {
		stem, ok := strings.CutSuffix(e.Name(), ".tmpl")
		if !ok {
			continue
		}
		if !slices.Contains(files, stem) {
			return nil, fmt.Errorf("prompts: %s is not a template this program uses; the names are %s", e.Name(), strings.Join(files, ".tmpl, ")+".tmpl")
		}
	}
	return load(base+"+override", dir, set)
}

func load(name string, dir fs.FS, under *Set) (*Set, error) {
	s := &Set{name: name, templates: map[string]*template.Template{}, source: map[string]string{}}
	for _, f := range files {
		text, err := fs.ReadFile(dir, f+".tmpl")
		if errors.Is(err, fs.ErrNotExist) && under != nil {
			s.templates[f], s.source[f] = under.templates[f], under.source[f]
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("prompt set %s: %w", name, err)
		}
		t, err := template.New(f).Option("missingkey=error").Parse(strings.TrimSpace(string(text)))
		if err != nil {
			return nil, fmt.Errorf("prompt set %s: %w", name, err)
		}
		s.templates[f], s.source[f] = t, string(text)
	}
	return s, s.check()
}

// check renders every template once, so that a wrong field is found at start.
func (s *Set) check() error {
	turns := []Turn{{"q1", "h1"}}
	for _, err := range []error{
		second(s.Question("n", "t", turns)), second(s.Response("n", "t", turns)), second(s.Positive("n", "p", "t", turns)),
		second(s.Answer("n", "p", "t", turns, "q")), second(s.Oracle("n", "p", "t")), second(s.Judge("n", "p", "t", "a", "b")),
		second(s.Persona([]string{"p"}, "A")),
		second(s.render("preamble", struct{}{})),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func second[T any](_ T, err error) error { return err }

// Name is the set's name, for manifests.
func (s *Set) Name() string { return s.name }

// Digests are the SHA-256 sums of the template files that take part in a run, by file name.
func (s *Set) Digests() map[string]string {
	d := map[string]string{}
	for f, text := range s.source {
		if f == personaFile {
			continue
		}
		sum := sha256.Sum256([]byte(text))
		d[f+".tmpl"] = hex.EncodeToString(sum[:])
	}
	return d
}

func (s *Set) render(file string, data any) (string, error) {
	var b bytes.Buffer
	if err := s.templates[file].Execute(&b, data); err != nil {
		return "", fmt.Errorf("prompt set %s: %w", s.name, err)
	}
	return b.String(), nil
}

type fields struct{ Name, Persona, Task, Question, Answer, A, B string }

// open is the user's first message and the turns so far.
func (s *Set) open(first string, turns []Turn) lm.Chat {
	chat := lm.Chat{{Role: lm.User, Content: first}}
	for _, t := range turns {
		chat = append(chat, lm.Message{Role: lm.Assistant, Content: t.Question}, lm.Message{Role: lm.User, Content: t.Answer})
	}
	return chat
}

// Question is what the Questioner sees before it asks: name, task and the turns so far,
// with the instruction after the last user message. p_Q(q | t, q1, h1, …): no persona.
func (s *Set) Question(name, task string, turns []Turn) (lm.Chat, error) {
	first, err := s.render("task", fields{Name: name, Task: task})
	if err != nil {
		return nil, err
	}
	ask, err := s.render("ask", struct{}{})
	if err != nil {
		return nil, err
	}
	chat := s.open(first, turns)
	if ask != "" {
		chat[len(chat)-1].Content += "\n\n" + ask
	}
	return chat, nil
}

// Response is the context of a response and of the gold's score (PROTOCOL §4 `neg` without
// turns, `qa` with): after a conversation the task is repeated at the end of the last answer.
func (s *Set) Response(name, task string, turns []Turn) (lm.Chat, error) {
	first, err := s.render("task", fields{Name: name, Task: task})
	if err != nil {
		return nil, err
	}
	return s.close(s.open(first, turns), task, turns)
}

// Positive is the positive control: the persona itself is given, and with turns also the
// conversation (PROTOCOL §4 `pos` and `pos+qa`).
func (s *Set) Positive(name, persona, task string, turns []Turn) (lm.Chat, error) {
	first, err := s.render("positive", fields{Name: name, Persona: persona, Task: task})
	if err != nil {
		return nil, err
	}
	return s.close(s.open(first, turns), task, turns)
}

func (s *Set) close(chat lm.Chat, task string, turns []Turn) (lm.Chat, error) {
	if len(turns) == 0 {
		return chat, nil
	}
	last, err := s.render("closing", fields{Answer: turns[len(turns)-1].Answer, Task: task})
	if err != nil {
		return nil, err
	}
	chat[len(chat)-1].Content = last
	return chat, nil
}

// WithPreamble puts the set's response preamble before the last user message
// (PROTOCOL §5, option response_preamble).
func (s *Set) WithPreamble(chat lm.Chat) (lm.Chat, error) {
	p, err := s.render("preamble", struct{}{})
	if err != nil {
		return nil, err
	}
	out := slices.Clone(chat)
	if p != "" {
		out[len(out)-1].Content = p + "\n\n" + out[len(out)-1].Content
	}
	return out, nil
}

// Answer is what the Roleplayer sees: p_R(h | u, t, q1, h1, …, q). The Questioner's turns
// are user messages here, and the Roleplayer's own answers are the assistant's.
func (s *Set) Answer(name, persona, task string, turns []Turn, question string) (lm.Chat, error) {
	opening := question
	if len(turns) > 0 {
		opening = turns[0].Question
	}
	first, err := s.render("roleplay", fields{Name: name, Persona: persona, Task: task, Question: opening})
	if err != nil {
		return nil, err
	}
	chat := lm.Chat{{Role: lm.User, Content: first}}
	for i, t := range turns {
		next := question
		if i+1 < len(turns) {
			next = turns[i+1].Question
		}
		chat = append(chat, lm.Message{Role: lm.Assistant, Content: t.Answer}, lm.Message{Role: lm.User, Content: next})
	}
	return chat, nil
}

// Oracle asks for a gold response from persona and task, without dialogue.
func (s *Set) Oracle(name, persona, task string) (lm.Chat, error) {
	text, err := s.render("oracle", fields{Name: name, Persona: persona, Task: task})
	return lm.Chat{{Role: lm.User, Content: text}}, err
}

// Judge asks which of two responses suits the persona better. The verdict is the last line.
func (s *Set) Judge(name, persona, task, a, b string) (lm.Chat, error) {
	text, err := s.render("judge", fields{Name: name, Persona: persona, Task: task, A: a, B: b})
	return lm.Chat{{Role: lm.User, Content: text}}, err
}
