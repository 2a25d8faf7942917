package serve

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// harmless are fields of the OpenAI and vLLM protocols that say something about the client
// or the bookkeeping and nothing about the answer.
var harmless = set("user", "metadata", "store", "service_tier", "parallel_tool_calls", "safety_identifier", "prompt_cache_key",
	"prompt_cache_retention", "request_id", "priority", "cache_salt", "include_reasoning", "stream_options")

// neutral are fields of both protocols that would change the answer, with the values that
// leave it as it is; any other is refused. null always leaves it.
var neutral = map[string][]any{
	"frequency_penalty": {0.0}, "presence_penalty": {0.0}, "repetition_penalty": {1.0}, "length_penalty": {1.0},
	"min_p": {0.0}, "min_tokens": {0.0}, "best_of": {1.0}, "suffix": {""},
	"logit_bias": {map[string]any{}}, "bad_words": {[]any{}}, "allowed_token_ids": {},
	"tools": {[]any{}}, "functions": {[]any{}}, "tool_choice": {"none", "auto"}, "function_call": {"none", "auto"},
	"response_format": {map[string]any{"type": "text"}}, "modalities": {[]any{"text"}}, "audio": {}, "prediction": {}, "web_search_options": {},
	"reasoning_effort": {"none"}, "verbosity": {"medium"}, "chat_template": {}, "chat_template_kwargs": {map[string]any{}}, "documents": {[]any{}},
	"use_beam_search": {false}, "early_stopping": {false}, "skip_special_tokens": {true}, "spaces_between_special_tokens": {true},
	"include_stop_str_in_output": {false}, "truncate_prompt_tokens": {}, "return_tokens_as_token_ids": {false}, "return_prompt_text": {false},
	"guided_json": {}, "guided_regex": {}, "guided_choice": {}, "guided_grammar": {}, "structured_outputs": {},
	"logits_processors": {}, "kv_transfer_params": {}, "vllm_xargs": {}, "prompt_embeds": {}, "mm_processor_kwargs": {}, "echo": {false},
	"continue_final_message": {false}, "add_generation_prompt": {true}, "ignore_eos": {false}, "stream": {false}, "n": {1.0},
}

// checkFields refuses what a request asks for and this server would not do. known are the
// fields that it acts on.
func checkFields(body map[string]json.RawMessage, known map[string]bool) error {
	for _, name := range slices.Sorted(maps.Keys(body)) {
		if known[name] || harmless[name] {
			continue
		}
		var value any
		if err := json.Unmarshal(body[name], &value); err != nil {
			return invalid(name, "%s: %v", name, err)
		}
		if value == nil {
			continue
		}
		values, ok := neutral[name]
		if !ok {
			return &failure{status: 400, param: name, code: "unknown_parameter", message: "unknown field " + name + ": if it changes the answer, this server cannot heed it; leave it out"}
		}
		if !slices.ContainsFunc(values, func(v any) bool { return reflect.DeepEqual(v, value) }) {
			return &failure{status: 400, param: name, code: "unsupported_parameter", message: name + " is not supported by this server, " + onlyValues(values)}
		}
	}
	return nil
}

func onlyValues(values []any) string {
	if len(values) == 0 {
		return "leave it out"
	}
	var words []string
	for _, v := range values {
		data, err := encode(v)
		if err != nil { // the table above
			panic(err)
		}
		words = append(words, string(data))
	}
	return "leave it out or send " + strings.Join(words, " or ")
}

// known are the fields of each type of request.
var known sync.Map // reflect.Type to map[string]bool

func knownFields(t reflect.Type) map[string]bool {
	if names, ok := known.Load(t); ok {
		return names.(map[string]bool)
	}
	names := fieldsOf(t)
	known.Store(t, names)
	return names
}

// fieldsOf are the JSON names of a struct, those of embedded structs included.
func fieldsOf(t reflect.Type) map[string]bool {
	names := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			maps.Copy(names, fieldsOf(f.Type))
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names[name] = true
	}
	return names
}

func set(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, n := range names {
		m[n] = true
	}
	return m
}
