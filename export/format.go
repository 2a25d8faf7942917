package export

import (
	"fmt"
	"slices"
	"strings"

	"stargate/export/readback"
	"stargate/lm/local"
)

// Format is a trainer's kind of file.
type Format struct {
	Name   string
	About  string // what it is, in a line
	Suffix string // of files

	rows     func(*job, Example) ([]any, error) // what an example becomes, each marshalled as a line
	rules    func(*job) readback.Rules          // how the trainer reads a line
	settings func(*job, Summary) []sideFile     // what the trainer must be told
	instead  string                             // what to do where it cannot say what is trained
	table    func() table                       // a file of columns instead of lines
}

// Canonical is the format that all others are made of, and that is read again.
const Canonical = "jsonl"

// Formats are all of them, by name, canonical first.
func Formats() []Format {
	return []Format{
		{Name: Canonical, About: "messages, token ids, per-token weights and provenance: what the others are made of", Suffix: ".jsonl", rows: canonicalRows},
		{Name: "parquet", About: "the same in columns, compressed with zstd", Suffix: ".parquet", rows: canonicalColumns, table: func() table { return &columns[exampleRow]{} }},
		{Name: "tokenized", About: "input_ids, labels and attention_mask, for axolotl (empty type), TRL and transformers: exact for every mask", Suffix: ".jsonl",
			rows: tokenizedRows, rules: rule(readback.Tokenized), settings: tokenizedSettings, instead: "weights other than 0 and 1 are kept by the formats jsonl and parquet"},
		{Name: "tokenized-parquet", About: "the same in columns, for Together and Hugging Face datasets", Suffix: ".parquet",
			rows: tokenizedRows, rules: rule(readback.Tokenized), table: func() table { return &columns[tokenizedRow]{} }, instead: "weights other than 0 and 1 are kept by the formats jsonl and parquet"},
		{Name: "trl", About: "TRL's conversational prompt and completion, a row for each trained turn", Suffix: ".jsonl",
			rows: trlRows, rules: trlRules, settings: trlSettings, instead: "take trl-text, which ends where the turn does, or tokenized"},
		{Name: "trl-text", About: "TRL's standard prompt and completion, already in the model's template", Suffix: ".jsonl",
			rows: trlTextRows, rules: trlRules, settings: trlSettings, instead: "take tokenized"},
		{Name: "trl-messages", About: "TRL's messages with assistant_only_loss: every assistant message is trained, and only with a {% generation %} template", Suffix: ".jsonl",
			rows: messageRows, rules: trlMessageRules, settings: trlMessageSettings, instead: "take trl, trl-text or tokenized"},
		{Name: "axolotl", About: "axolotl's chat_template type with a train flag on every message", Suffix: ".jsonl",
			rows: axolotlRows, rules: axolotlRules, settings: axolotlSettings, instead: "take tokenized, with an empty type"},
		{Name: "llama-factory", About: "LLaMA-Factory's sharegpt conversations, in which every answer is trained", Suffix: ".jsonl",
			rows: sharegptRows, rules: sharegptRules, settings: sharegptSettings, instead: "take llama-factory-last, or name another template with --llama-factory-template"},
		{Name: "llama-factory-last", About: "sharegpt conversations with mask_history, a row for each trained turn", Suffix: ".jsonl",
			rows: sharegptLastRows, rules: sharegptLastRules, settings: sharegptLastSettings, instead: "name another template with --llama-factory-template"},
		{Name: "llama-factory-alpaca", About: "LLaMA-Factory's instruction, output and history, in which the history is trained too", Suffix: ".jsonl",
			rows: alpacaRows, rules: alpacaRules, settings: alpacaSettings, instead: "take llama-factory-last, or name another template with --llama-factory-template"},
		{Name: "openai", About: "messages with a weight of 0 or 1 on the assistant's, as OpenAI's fine-tuning API had it", Suffix: ".jsonl",
			rows: openaiRows, rules: rule(readback.OpenAI), instead: "the provider trains whole messages or none"},
	}
}

// ParseFormat finds a format by name.
func ParseFormat(name string) (Format, error) {
	all := Formats()
	if i := slices.IndexFunc(all, func(f Format) bool { return f.Name == name }); i >= 0 {
		return all[i], nil
	}
	var names []string
	for _, f := range all {
		names = append(names, f.Name)
	}
	for _, f := range PreferenceFormats() {
		names = append(names, f.Name)
	}
	return Format{}, fmt.Errorf("no format is called %q; there are %s", name, strings.Join(names, ", "))
}

func rule(r readback.Rules) func(*job) readback.Rules {
	return func(*job) readback.Rules { return r }
}

// job is an export at work.
type job struct {
	text    *local.Text
	options Options
	turnEnd string // spelling of the token that ends a turn in this template, "" if there is none
}

func newJob(t *local.Text, o Options) (*job, error) {
	j := &job{text: t, options: o}
	ids, mask, err := t.Encode(probe, []int{1})
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	if last := lastTrue(mask); last >= 0 && slices.Contains(t.Ends(), ids[last]) {
		j.turnEnd = t.Piece(ids[last])
	}
	return j, nil
}

func lastTrue(mask []bool) int {
	for i := len(mask) - 1; i >= 0; i-- {
		if mask[i] {
			return i
		}
	}
	return -1
}

// otherEnd is the token that ends a turn, where that is not the tokenizer's eos_token, else "".
func (j *job) otherEnd() string {
	if eos, _ := j.text.EOS(); eos == j.turnEnd {
		return ""
	}
	return j.turnEnd
}
