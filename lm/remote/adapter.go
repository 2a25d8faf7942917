package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"stargate/lm"
)

// ErrAdapter: a LoRA adapter is not in use as it should be.
var ErrAdapter = errors.New("LoRA adapter")

// AdapterName is the name under which an iteration's adapter is loaded: of the run, the model
// ("m1") and the content, so that no name is ever used twice for different weights. Servers
// keep cached prefixes by name (vLLM issue 42125).
func AdapterName(run, model, digest string) string {
	sum := sha256.Sum256([]byte(run + "\x00" + model + "\x00" + digest))
	plain := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, run)
	const most = 40
	return fmt.Sprintf("%s-%s-%s", model, plain[:min(len(plain), most)], hex.EncodeToString(sum[:4]))
}

// LoadAdapter publishes a LoRA adapter on every server of the client under a new name, and
// gives a client of the model with it. path is the adapter's directory as the servers see it
// (PEFT's files). An adapter that is loaded already from this path under this name, by a run
// that was interrupted, is used as it is.
//
// It is probed before use: each server has to answer under the name, and to score texts
// differently than without the adapter. vLLM needs --enable-lora and the environment variable
// VLLM_ALLOW_RUNTIME_LORA_UPDATING=True; SGLang --enable-lora with --max-lora-rank and
// --lora-target-modules; stargate serve --lora-dir. Other servers fail with ErrUnsupported.
func (c *Client) LoadAdapter(ctx context.Context, name, path string) (*Client, error) {
	route, err := c.adapterRoute("load")
	if err != nil {
		return nil, err
	}
	if name == "" || path == "" || name == c.role.Model {
		return nil, fmt.Errorf("%w: name %q and path %q: want a name of its own and a directory", ErrAdapter, name, path)
	}
	for _, one := range c.each() {
		if err := one.load(ctx, route, name, path); err != nil {
			return nil, fmt.Errorf("%w %s: %w", ErrAdapter, name, err)
		}
		if err := one.WithAdapter(name).inUse(ctx, one); err != nil {
			return nil, fmt.Errorf("%w %s: %w", ErrAdapter, name, err)
		}
	}
	return c.WithAdapter(name), nil
}

// WithAdapter is a client of the model with an adapter that is loaded under a name. It shares
// transport and account; its counts are its own. Nothing is asked.
func (c *Client) WithAdapter(name string) *Client {
	with := *c
	with.adapter, with.end = name, nil
	with.counts, with.density = new(counts), new(atomic.Int64)
	if _, ok := with.encoder.(serverEncoder); ok {
		with.encoder = serverEncoder{&with}
	}
	return &with
}

// UnloadAdapter takes an adapter from every server. One that is not loaded is no error.
func (c *Client) UnloadAdapter(ctx context.Context, name string) error {
	route, err := c.adapterRoute("unload")
	if err != nil {
		return err
	}
	for _, one := range c.each() {
		data, err := newBody().add("lora_name", name).bytes()
		if err != nil {
			return err
		}
		loaded, err := one.loaded(ctx)
		if err != nil {
			return fmt.Errorf("%w %s: %w", ErrAdapter, name, err)
		}
		if _, ok := loaded[name]; !ok && loaded != nil {
			continue
		}
		if err := one.admin(ctx, route, data); err != nil {
			if status, ok := errors.AsType[*StatusError](err); ok && status.Status == http.StatusNotFound {
				continue
			}
			if now, errNow := one.loaded(ctx); errNow == nil && now != nil {
				if _, still := now[name]; !still { // an attempt whose answer was lost has done it
					continue
				}
			}
			return fmt.Errorf("%w %s: unload: %w", ErrAdapter, name, err)
		}
	}
	return nil
}

func (c *Client) adapterRoute(verb string) (string, error) {
	switch c.facts.Server {
	case VLLM, Stargate:
		return c.role.Prefix + "/" + verb + "_lora_adapter", nil
	case SGLang:
		return "/" + verb + "_lora_adapter", nil
	}
	return "", fmt.Errorf("%w: %s loads no LoRA adapters while it runs: publish the policy as a merged directory, or use vLLM, SGLang or stargate serve", ErrUnsupported, c.facts.Server)
}

// loaded are the models of a server with where they come from, nil where it does not tell.
func (c *Client) loaded(ctx context.Context) (map[string]string, error) {
	var list struct {
		Data []card `json:"data"`
	}
	if absent, err := c.get(ctx, c.role.Prefix+"/models", &list); absent || err != nil {
		return nil, err
	}
	roots := map[string]string{}
	for _, d := range list.Data {
		roots[strings.TrimPrefix(d.ID, c.role.Model+":")] = d.Root // SGLang lists base:adapter
	}
	return roots, nil
}

// load loads an adapter on this server, if it is not there.
func (c *Client) load(ctx context.Context, route, name, path string) error {
	loaded, err := c.loaded(ctx)
	if err != nil {
		return err
	}
	if root, ok := loaded[name]; ok {
		if root == path {
			return nil
		}
		return fmt.Errorf("the server has that name already, from %q instead of %q: cached prefixes go by name, so take a new one", root, path)
	}
	data, err := newBody().add("lora_name", name).add("lora_path", path).bytes()
	if err != nil {
		return err
	}
	if err := c.admin(ctx, route, data); err != nil {
		// An attempt whose answer was lost has done it, and the next one was told so.
		if now, errNow := c.loaded(ctx); errNow == nil && now[name] == path {
			return nil
		}
		if status, ok := errors.AsType[*StatusError](err); ok && (status.Status == http.StatusNotFound || status.Status == http.StatusMethodNotAllowed) && c.facts.Server == VLLM && status.Code() == "" {
			return fmt.Errorf("the server has no such route: start it with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True: %w", err)
		}
		return fmt.Errorf("load: %w", err)
	}
	return nil
}

// admin asks for something that changes the server. vLLM and stargate answer with a
// sentence, SGLang with an object that says whether it worked.
func (c *Client) admin(ctx context.Context, path string, data []byte) error {
	answer, _, err := c.transport.Post(ctx, path, data, 0)
	if err != nil {
		return c.explain(err)
	}
	var said struct {
		Success *bool  `json:"success"`
		Error   string `json:"error_message"`
		Message string `json:"message"`
	}
	if json.Unmarshal(answer, &said) == nil && said.Success != nil && !*said.Success {
		return fmt.Errorf("the server says: %s", firstOf(said.Error, said.Message, oneLine(answer)))
	}
	return nil
}

// inUse checks that this client's adapter answers, and not like the base model: some servers
// fall back silently when a name is unknown.
func (c *Client) inUse(ctx context.Context, base *Client) error {
	if _, err := c.generate(ctx, probeChats[0], lm.Sampling{MaxTokens: 8}); err != nil {
		return fmt.Errorf("it does not answer: %w", err)
	}
	if c.CanScore() != nil {
		return nil // nothing to compare: answers may be alike by chance
	}
	most, noise := 0.0, 0.0
	for _, p := range auditPairs[:3] {
		var scores [3][]float64
		for i, who := range []*Client{base, base, c} {
			s, err := who.sequence(ctx, p.chat, p.target)
			if errors.Is(err, lm.ErrContextLength) {
				break
			}
			if err != nil {
				return err
			}
			r, err := who.score(ctx, who.scorings[0], []sequence{s})
			if err != nil {
				return fmt.Errorf("scoring with it: %w", err)
			}
			scores[i] = r.scores[0]
		}
		noise = max(noise, apart(scores[0], scores[1]))
		most = max(most, apart(scores[0], scores[2]))
	}
	if !(most > 2*noise+1e-6) {
		return fmt.Errorf("the server scores texts with it as without it (the largest difference of a token is %.3g nats, of the base model with itself %.3g): it is not in use, or it changes nothing", most, noise)
	}
	return nil
}

// apart is the largest difference of two values in the same place.
func apart(a, b []float64) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	most := 0.0
	for i := range a {
		most = max(most, math.Abs(a[i]-b[i]))
	}
	return most
}

// Models are the names that the first server answers to now: base model and adapters.
func (c *Client) Models(ctx context.Context) ([]string, error) {
	loaded, err := c.each()[0].loaded(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(loaded))
	for name := range loaded {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}
