package remote_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"stargate/lm"
	"stargate/lm/local"
	"stargate/serve"
)

// The servers below speak the protocols of others with the embedded engine behind them, so
// that what a client makes of their answers can be held to the truth. Shapes: the sources
// that the drivers name.

type object = map[string]any

// endpoint is a handler that reads JSON and answers JSON.
func endpoint(t testing.TB, fn func(q object) (status int, answer any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var q object
		if r.Method == http.MethodPost {
			d := json.NewDecoder(r.Body)
			d.UseNumber()
			if err := d.Decode(&q); err != nil {
				t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
			}
		}
		status, answer := fn(q)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}
}

func fixed(t testing.TB, answer any) http.HandlerFunc {
	return endpoint(t, func(object) (int, any) { return http.StatusOK, answer })
}

func integer(v any) int {
	n, err := v.(json.Number).Int64()
	if err != nil {
		panic(err)
	}
	return int(n)
}

func number(v any) float64 {
	x, err := v.(json.Number).Float64()
	if err != nil {
		panic(err)
	}
	return x
}

func idsOf(v any) (ids []int32) {
	for _, x := range v.([]any) {
		ids = append(ids, int32(integer(x)))
	}
	return ids
}

// samplingOf reads sampling by the names that a protocol has.
func samplingOf(q object, limit, seed string) (s lm.Sampling) {
	if v, ok := q["temperature"]; ok {
		s.Temperature = number(v)
	}
	if v, ok := q["top_p"]; ok && number(v) < 1 {
		s.TopP = number(v)
	}
	if v, ok := q["top_k"]; ok && integer(v) > 0 {
		s.TopK = integer(v)
	}
	if v, ok := q[limit]; ok {
		s.MaxTokens = integer(v)
	}
	if v, ok := q[seed]; ok {
		s.Seed = uint64(integer(v))
	}
	if list, ok := q["stop"].([]any); ok {
		for _, v := range list {
			s.Stop = append(s.Stop, v.(string))
		}
	}
	return s
}

// drawnIDs are the ids of a completion, the one that ended it included.
func drawnIDs(c local.Continuation) (ids []int32) {
	for _, d := range c.Drawn {
		ids = append(ids, d.ID)
	}
	return ids
}

// vllm is stargate's server under vLLM's name, with what vLLM has and stargate has not.
func vllm(t testing.TB, m *local.Model) http.Handler {
	inner := serve.New(m, serve.Options{Name: "tiny"})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", fixed(t, object{"object": "list", "data": []object{{"id": "tiny", "object": "model", "owned_by": "vllm", "root": "/models/tiny", "parent": nil, "max_model_len": m.Room()}}}))
	mux.HandleFunc("GET /version", fixed(t, object{"version": "0.11.0"}))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		named := false
		bent(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var body object
			if r.Method == http.MethodPost && json.NewDecoder(r.Body).Decode(&body) == nil {
				named = body["return_tokens_as_token_ids"] == true
				delete(body, "return_tokens_as_token_ids")
				replaceBody(r, body)
			}
			inner.ServeHTTP(w, r)
		}), 0, func(_ string, _, answer object) {
			if !named {
				return
			}
			eachChoice(answer, func(x object) {
				all := append(slices.Clone(x["prompt_token_ids"].([]any)), x["token_ids"].([]any)...)
				for i := range x["logprobs"].(object)["tokens"].([]any) {
					x["logprobs"].(object)["tokens"].([]any)[i] = fmt.Sprintf("token_id:%v", all[i])
				}
			})
		}).ServeHTTP(w, r)
	})
	return mux
}

// sglang is SGLang's native route; its /tokenize knows plain texts only, as before 2026.
// Adapters are directories on this machine.
func sglang(t testing.TB, m *local.Model) http.Handler {
	chat := serve.New(m, serve.Options{Name: "tiny"})
	var mu sync.Mutex
	adapters := map[string]*local.Model{}
	with := func(name any) *local.Model {
		mu.Lock()
		defer mu.Unlock()
		if a, ok := adapters[fmt.Sprint(name)]; ok {
			return a
		}
		if name != nil {
			t.Errorf("there is no adapter %v", name)
		}
		return m
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", fixed(t, object{"data": []object{{"id": "tiny", "owned_by": "sglang", "root": "/models/tiny", "max_model_len": m.Room()}}}))
	mux.HandleFunc("POST /load_lora_adapter", endpoint(t, func(q object) (int, any) {
		a, err := m.OpenAdapter(os.DirFS(q["lora_path"].(string)), 64)
		if err != nil {
			return http.StatusBadRequest, object{"success": false, "error_message": err.Error(), "loaded_adapters": object{}}
		}
		mu.Lock()
		defer mu.Unlock()
		adapters[q["lora_name"].(string)] = a
		return http.StatusOK, object{"success": true, "error_message": nil, "loaded_adapters": object{q["lora_name"].(string): q["lora_path"]}}
	}))
	mux.HandleFunc("POST /unload_lora_adapter", endpoint(t, func(q object) (int, any) {
		mu.Lock()
		defer mu.Unlock()
		name := q["lora_name"].(string)
		a, ok := adapters[name]
		if !ok {
			return http.StatusBadRequest, object{"success": false, "error_message": "LoRA adapter " + name + " does not exist"}
		}
		a.Close()
		delete(adapters, name)
		return http.StatusOK, object{"success": true, "loaded_adapters": object{}}
	}))
	mux.HandleFunc("GET /get_model_info", fixed(t, object{"model_path": "/models/tiny", "is_generation": true, "weight_version": "default"}))
	mux.HandleFunc("GET /get_server_info", fixed(t, object{"version": "0.5.3"}))
	mux.HandleFunc("POST /tokenize", endpoint(t, func(object) (int, any) {
		return http.StatusBadRequest, object{"object": "error", "message": "prompt: Field required", "type": "BadRequestError", "code": 400}
	}))
	mux.HandleFunc("POST /v1/chat/completions", chat.ServeHTTP)
	mux.HandleFunc("POST /generate", endpoint(t, func(q object) (int, any) {
		params := q["sampling_params"].(object)
		var out []object
		for i, v := range q["input_ids"].([]any) {
			m, ids := m, idsOf(v)
			if paths, ok := q["lora_path"].([]any); ok {
				m = with(paths[i])
			}
			s := samplingOf(params, "max_new_tokens", "sampling_seed")
			c, err := m.Continue(t.Context(), local.Request{Prompt: ids, Sampling: s, LogProbs: true})
			if err != nil {
				return http.StatusBadRequest, object{"error": object{"message": "The input (" + fmt.Sprint(len(ids)) + " tokens) is longer than the model's context length"}}
			}
			finish := object{"type": "length", "length": len(c.Drawn)}
			if c.Finish == lm.FinishStop {
				finish = object{"type": "stop", "matched": 1}
				if c.StopString != "" {
					finish["matched"] = c.StopString
				}
			}
			meta := object{"id": "x", "prompt_tokens": len(ids), "completion_tokens": len(c.Drawn), "cached_tokens": 0, "finish_reason": finish}
			if q["return_logprob"] == true {
				var output [][]any
				for _, d := range c.Drawn {
					output = append(output, []any{d.LogProb, d.ID, nil})
				}
				meta["output_token_logprobs"] = output
			}
			if starts, ok := q["logprob_start_len"].([]any); ok {
				from := integer(starts[i])
				scored, err := m.PromptLogProbs(t.Context(), ids, 0)
				if err != nil {
					t.Error(err)
				}
				input := [][]any{{nil, ids[from], nil}}
				for k := from + 1; k < len(ids); k++ {
					input = append(input, []any{scored[k-1].LogProb, ids[k], nil})
				}
				meta["input_token_logprobs"] = input
			}
			out = append(out, object{"text": c.Text, "output_ids": drawnIDs(c), "meta_info": meta})
		}
		return http.StatusOK, out
	}))
	return mux
}

// trl is TRL's vllm-serve.
func trl(t testing.TB, m *local.Model) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /get_world_size/", fixed(t, object{"world_size": 1}))
	mux.HandleFunc("POST /generate/", endpoint(t, func(q object) (int, any) {
		ids := idsOf(q["prompts"].([]any)[0])
		s := samplingOf(q, "max_tokens", "")
		further := samplingOf(q["generation_kwargs"].(object), "", "seed")
		s.Seed, s.Stop = further.Seed, further.Stop
		c, err := m.Continue(t.Context(), local.Request{Prompt: ids, Sampling: s, LogProbs: true})
		if err != nil {
			return http.StatusInternalServerError, object{"detail": err.Error()}
		}
		var lps, of [][]any
		for _, d := range c.Drawn {
			lps, of = append(lps, []any{d.LogProb}), append(of, []any{d.ID})
		}
		return http.StatusOK, object{"prompt_ids": [][]int32{ids}, "completion_ids": [][]int32{drawnIDs(c)}, "logprobs": [][][]any{lps}, "logprob_token_ids": [][][]any{of}}
	}))
	mux.HandleFunc("POST /get_sequence_logprobs/", endpoint(t, func(q object) (int, any) {
		var lists, of [][][]any
		var lengths []int
		var values [][]float64
		var tokens [][]int32
		longest := 0
		for i, v := range q["sequences"].([]any) {
			ids, from := idsOf(v), integer(q["prompt_lengths"].([]any)[i])
			scored, err := m.PromptLogProbs(t.Context(), ids, 1)
			if err != nil {
				t.Error(err)
			}
			var list, names [][]any
			var own []float64
			for k := from; k < len(ids); k++ {
				d := scored[k-1]
				entry, name := []any{}, []any{}
				for _, a := range d.Alternatives { // vLLM: the most probable, and the text's own
					entry, name = append(entry, a.LogProb), append(name, a.ID)
				}
				if !slices.ContainsFunc(d.Alternatives, func(a lm.TokenLogProb) bool { return a.ID == d.ID }) {
					entry, name = append(entry, d.LogProb), append(name, d.ID)
				}
				list, names, own = append(list, entry), append(names, name), append(own, d.LogProb)
			}
			lists, of = append(lists, list), append(of, names)
			lengths, values, tokens = append(lengths, len(own)), append(values, own), append(tokens, ids[from:])
			longest = max(longest, len(own))
		}
		if q["response_format"] == "json" {
			return http.StatusOK, object{"logprobs": lists, "logprob_token_ids": of}
		}
		var lps, names []byte
		for i := range values {
			for k := range longest {
				lp, id := float32(math.Inf(-1)), int32(0)
				if k < len(values[i]) {
					lp, id = float32(values[i][k]), tokens[i][k]
				}
				lps = binary.LittleEndian.AppendUint32(lps, math.Float32bits(lp))
				names = binary.LittleEndian.AppendUint32(names, uint32(id))
			}
		}
		return http.StatusOK, object{"actual_logprobs_b64": base64.StdEncoding.EncodeToString(lps), "actual_token_ids_b64": base64.StdEncoding.EncodeToString(names),
			"shape": []int{len(values), longest, 1}, "completion_lengths": lengths}
	}))
	return mux
}

// tgi is text-generation-inference, started with --enable-prefill-logprobs or not.
func tgi(t testing.TB, m *local.Model, prefill bool) http.Handler {
	inner := serve.New(m, serve.Options{Name: "org/tiny"})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", fixed(t, object{"data": []object{{"id": "org/tiny", "owned_by": "org/tiny"}}}))
	mux.HandleFunc("GET /info", fixed(t, object{"model_id": "org/tiny", "model_sha": "e985a63cdc13", "max_input_tokens": m.Room() - 1, "max_total_tokens": m.Room(), "router": "text-generation-router", "version": "3.3.6"}))
	mux.HandleFunc("POST /v1/chat/completions", inner.ServeHTTP)
	mux.HandleFunc("POST /generate", endpoint(t, func(q object) (int, any) {
		ids := m.Tokenize(q["inputs"].(string), true)
		scored, err := m.PromptLogProbs(t.Context(), ids, 0)
		if err != nil {
			return http.StatusUnprocessableEntity, object{"error": fmt.Sprintf("Input validation error: `inputs` must have less than %d tokens. Given: %d", m.Room(), len(ids)), "error_type": "validation"}
		}
		list := []object{}
		if prefill {
			list = append(list, object{"id": ids[0], "text": m.Piece(ids[0]), "logprob": nil})
			for _, d := range scored {
				list = append(list, object{"id": d.ID, "text": m.Piece(d.ID), "logprob": d.LogProb})
			}
		}
		return http.StatusOK, object{"generated_text": "x", "details": object{"finish_reason": "length", "generated_tokens": 1, "prefill": list, "tokens": []object{}}}
	}))
	return mux
}

// hosted is an API like OpenAI's reasoning models: it wants max_completion_tokens and answers
// under a snapshot's name.
func hosted(t testing.TB, m *local.Model) http.Handler {
	inner := serve.New(m, serve.Options{Name: "gpt-tiny"})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", fixed(t, object{"object": "list", "data": []object{{"id": "gpt-tiny", "object": "model", "owned_by": "openai"}, {"id": "gpt-large", "owned_by": "system"}}}))
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		refused := false
		bent(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var body object
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				t.Error(err)
			}
			if _, refused = body["max_tokens"]; refused {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", "type": "invalid_request_error", "param": "max_tokens", "code": "unsupported_parameter"}}`)
				return
			}
			replaceBody(r, body)
			inner.ServeHTTP(w, r)
		}), 0, func(_ string, _, answer object) {
			answer["model"] = "gpt-tiny-2026-08-01"
		}).ServeHTTP(w, r)
	})
	return mux
}

// anthropic is Anthropic's messages API.
func anthropic(t testing.TB, m *local.Model) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models/{model}", fixed(t, object{"type": "model", "id": "claude-tiny-20260801", "display_name": "Tiny"}))
	mux.HandleFunc("POST /v1/messages", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") != "secret" || r.Header.Get("Anthropic-Version") == "" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}`)
			return
		}
		endpoint(t, func(q object) (int, any) {
			var chat lm.Chat
			if system, ok := q["system"].(string); ok {
				chat = append(chat, lm.Message{Role: lm.System, Content: system})
			}
			for _, v := range q["messages"].([]any) {
				chat = append(chat, lm.Message{Role: lm.Role(v.(object)["role"].(string)), Content: v.(object)["content"].(string)})
			}
			s := samplingOf(q, "max_tokens", "")
			if list, ok := q["stop_sequences"].([]any); ok {
				for _, v := range list {
					s.Stop = append(s.Stop, v.(string))
				}
			}
			c, err := m.Generate(t.Context(), chat, s)
			if err != nil {
				return http.StatusBadRequest, object{"type": "error", "error": object{"type": "invalid_request_error", "message": "prompt is too long: 300 tokens > 256 maximum"}}
			}
			stop := "end_turn"
			if c.Finish == lm.FinishLength {
				stop = "max_tokens"
			}
			return http.StatusOK, object{"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-tiny-20260801",
				"content":     []object{{"type": "thinking", "thinking": "What would be good?"}, {"type": "text", "text": c.Text}},
				"stop_reason": stop, "usage": object{"input_tokens": c.Usage.PromptTokens - 2, "cache_read_input_tokens": 2, "output_tokens": c.Usage.CompletionTokens}}
		})(w, r)
	})
	return mux
}

// chatOnly is a server that generates and cannot score: llama.cpp's or Ollama's.
func chatOnly(t testing.TB, m *local.Model, routes map[string]any) http.Handler {
	inner := serve.New(m, serve.Options{Name: "tiny"})
	mux := http.NewServeMux()
	for route, answer := range routes {
		mux.HandleFunc("GET "+route, fixed(t, answer))
	}
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		var body object
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		if p, ok := body["repeat_penalty"]; ok && p != 1.0 {
			t.Errorf("repeat_penalty is %v", p)
		}
		delete(body, "repeat_penalty") // llama.cpp's name, which stargate does not know
		replaceBody(r, body)
		inner.ServeHTTP(w, r)
	})
	return mux
}

var llamaCpp = map[string]any{
	"/v1/models": object{"data": []object{{"id": "tiny", "owned_by": "llamacpp", "meta": object{"n_params": 1}}}},
	"/props":     object{"default_generation_settings": object{"n_ctx": 256}, "total_slots": 1, "model_path": "/models/tiny.gguf", "build_info": "b6700-abc"},
}

var ollama = map[string]any{
	"/v1/models":   object{"data": []object{{"id": "tiny:latest", "owned_by": "library"}}},
	"/api/version": object{"version": "0.12.11"},
	"/api/tags":    object{"models": []object{{"name": "tiny:latest", "digest": "sha256:0123"}}},
}

// recorder writes down what a server is asked.
type recorder struct {
	inner http.Handler

	mu  sync.Mutex
	log strings.Builder
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	q.Body = io.NopCloser(bytes.NewReader(body))
	r.write(q, body)
	r.inner.ServeHTTP(w, q)
}

func (r *recorder) write(q *http.Request, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(&r.log, "%s %s\n", q.Method, q.URL.Path)
	if len(body) > 0 {
		fmt.Fprintf(&r.log, "%s\n", body)
	}
}

func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}
