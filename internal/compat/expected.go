package main

import (
	"io/fs"
	"strings"

	"stargate/internal/chattemplate"
	"stargate/internal/kernel"
	"stargate/internal/llama"
	"stargate/internal/tokenizer"
	"stargate/lm"
)

// expected is what the other libraries must give as well.
type expected struct {
	Texts []textCase `json:"texts"`
	Chats []chatCase `json:"chats"`
}

// textCase is a text with its ids, its decoding (markers left out), and what the network
// makes of the ids: the log-probability of every token but the first, and the logits after
// the last. Texts of less than two tokens have no prediction.
type textCase struct {
	Text     string    `json:"text"`
	IDs      []int32   `json:"ids"`
	Decoded  string    `json:"decoded"`
	LogProbs []float64 `json:"log_probs,omitempty"`
	Logits   []float32 `json:"logits,omitempty"`
}

// chatCase is a conversation as text, to be continued or not.
type chatCase struct {
	Messages []lm.Message `json:"messages"`
	Generate bool         `json:"generate"`
	Text     string       `json:"text"`
	IDs      []int32      `json:"ids"`
}

// texts are of the kinds that tokenizers treat differently.
var texts = []string{
	"", " ", "a", "Hello world", "hello  world   !", "What would you like to cook tonight?", "I'm sure it's what we'll've done, isn't it?",
	"I'M SURE IT'S WE'LL", "1234567890 3.14", "na\u00efve caf\u00e9 cafe\u0301", "\u4f60\u597d \u3053\u3093\u306b\u3061\u306f \ud55c\uad6d", "\U0001f600\U0001f44d\U0001f3fd",
	"a\u00a0b\u2003c\u3000d", "line\r\nline\r\n\r\nend", "a\n\n b\n \n  c  ", "\ttabs \t mix\t", "#include <stdio.h>\nint main() { return 0; }\n",
	"<|user|>Help me plan a party.<|end|>", "a<|end|>b <|end|> c", "<|user |> <|end|", "\u0000\u007f", strings.Repeat("the ", 60), "$12.50 + 7% = \u20ac13,37",
}

var chats = [][]lm.Message{
	{{Role: lm.User, Content: "Help me plan a party."}},
	{{Role: lm.System, Content: "You like music.\nYou live in Lyon."}, {Role: lm.User, Content: "What do you like?"}},
	{{Role: lm.User, Content: " Recommend a book. "}, {Role: lm.Assistant, Content: "What do you read?"}, {Role: lm.User, Content: "Poems, \"mostly\" & <old> ones."}},
	{{Role: lm.User, Content: "caf\u00e9 \u4f60\u597d"}, {Role: lm.Assistant, Content: "It's {{ fine }} {% here %}."}},
}

// expect computes everything for a model directory.
func expect(dir fs.FS) (*expected, error) {
	tok, template, err := readText(dir)
	if err != nil {
		return nil, err
	}
	model, err := llama.Load(dir)
	if err != nil {
		return nil, err
	}
	pool := kernel.NewPool(0)
	defer pool.Close()
	e := new(expected)
	before, after := tok.Around()
	for _, text := range texts {
		c := textCase{Text: text, IDs: append(append(append([]int32{}, before...), tok.Encode(text, true)...), after...)}
		c.Decoded = tok.Decode(c.IDs, true)
		if len(c.IDs) > 1 {
			c.LogProbs, c.Logits = predict(model, pool, c.IDs)
		}
		e.Texts = append(e.Texts, c)
	}
	for _, messages := range chats {
		for _, generate := range []bool{false, true} {
			text, err := template.Render(messages, generate)
			if err != nil {
				return nil, err
			}
			e.Chats = append(e.Chats, chatCase{messages, generate, text, tok.Encode(text, true)})
		}
	}
	return e, nil
}

func readText(dir fs.FS) (*tokenizer.Tokenizer, *chattemplate.Template, error) {
	data, err := fs.ReadFile(dir, tokenizer.File)
	if err != nil {
		return nil, nil, err
	}
	tok, err := tokenizer.Load(data)
	if err != nil {
		return nil, nil, err
	}
	if data, err = fs.ReadFile(dir, tokenizer.ConfigFile); err != nil {
		return nil, nil, err
	}
	config, err := tokenizer.ReadConfig(data)
	if err != nil {
		return nil, nil, err
	}
	template, err := chattemplate.New(config.ChatTemplate, chattemplate.Vars{BOS: string(config.BOSToken), EOS: string(config.EOSToken)})
	return tok, template, err
}

// predict runs the network over one text.
func predict(m *llama.Model, pool *kernel.Pool, ids []int32) ([]float64, []float32) {
	cache := llama.NewCache(m.Config, llama.Pages(len(ids)))
	s := &llama.Span{Tokens: ids[:len(ids)-1], Targets: ids[1:]}
	for page := llama.Page(-1); len(s.Pages) < llama.Pages(len(ids)); {
		page, _ = cache.Alloc(page) // the cache has just these
		s.Pages = append(s.Pages, page)
	}
	d := llama.NewDecoder(m, pool, cache)
	d.Forward([]*llama.Span{s})
	last := &llama.Span{Pages: s.Pages, Start: len(ids) - 1, Tokens: ids[len(ids)-1:], WantLogits: true}
	logProbs := s.LogProbs
	d.Forward([]*llama.Span{last})
	return logProbs, last.Logits
}
