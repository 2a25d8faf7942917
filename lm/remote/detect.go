package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
)

// card is a model as GET /v1/models lists it.
type card struct {
	ID            string  `json:"id"`
	OwnedBy       string  `json:"owned_by"`
	Root          string  `json:"root"`           // vLLM, SGLang: where it was loaded from
	Parent        *string `json:"parent"`         // vLLM: of an adapter, its model
	MaxModelLen   int     `json:"max_model_len"`  // vLLM, SGLang, stargate
	ContextLength int     `json:"context_length"` // OpenRouter
	Digest        string  `json:"digest"`         // stargate: of weights, tokenizer and template
}

// get asks for a small object; absent says that the server has no such route: it says so, or
// each time something else than JSON, as gateways do on routes that they do not know.
func (c *Client) get(ctx context.Context, path string, into any) (absent bool, err error) {
	reason, err := c.look(ctx, path, into)
	return reason != "", err
}

// look is get with the reason why the route is absent, "" if it is there.
func (c *Client) look(ctx context.Context, path string, into any) (absent string, err error) {
	const looks = 3
	for range looks {
		answer, _, err := c.transport.Get(ctx, path)
		if err != nil {
			if status, ok := errors.AsType[*StatusError](err); ok && status.Status != http.StatusUnauthorized && status.Status != http.StatusForbidden && !status.Temporary() {
				return status.Error(), nil
			}
			return "", c.explain(err)
		}
		if json.Unmarshal(answer, into) == nil {
			return "", nil
		}
		absent = fmt.Sprintf("GET %s answers %q", path, oneLine(answer))
	}
	return absent, nil
}

// detect finds out what the server is, by routes and fields that only one kind has, and what
// it says of itself.
func (c *Client) detect(ctx context.Context) error {
	var list struct {
		Data []card `json:"data"`
	}
	noList, err := c.look(ctx, c.role.Prefix+"/models", &list)
	if err != nil {
		return err
	}
	for _, d := range list.Data {
		c.facts.Served = append(c.facts.Served, d.ID)
	}
	kind := c.role.Server
	if kind == Auto {
		owner := ""
		if len(list.Data) > 0 {
			owner = strings.ToLower(list.Data[0].OwnedBy)
		}
		switch owner {
		case "vllm":
			kind = VLLM
		case "sglang":
			kind = SGLang
		case "stargate":
			kind = Stargate
		case "llamacpp":
			kind = LlamaCpp
		case "openai", "system":
			kind = Hosted
		default:
			if kind, err = c.knock(ctx, noList); err != nil {
				return err
			}
		}
	}
	c.facts.Server, c.facts.Notes, c.dialect = kind, notes[kind], dialects[kind]
	if err := c.nameModel(list.Data); err != nil {
		return err
	}
	if kind == Hosted {
		c.facts.Served = nil // hundreds, and no fact of this model
	}
	return c.askDetails(ctx)
}

// knock tries the routes that only one kind of server has. noList is why there is no list of
// models, "" if there is one.
func (c *Client) knock(ctx context.Context, noList string) (Server, error) {
	var found struct {
		Version    string          `json:"version"`
		Router     string          `json:"router"`                      // TGI
		ModelID    string          `json:"model_id"`                    // TGI
		Settings   json.RawMessage `json:"default_generation_settings"` // llama.cpp
		ModelPath  string          `json:"model_path"`                  // SGLang
		Generation *bool           `json:"is_generation"`               // SGLang
		World      *int            `json:"world_size"`                  // TRL
	}
	for _, k := range []struct {
		path string
		kind Server
		is   func() bool
	}{
		{"/info", TGI, func() bool { return found.ModelID != "" && (found.Router != "" || found.Version != "") }},
		{"/props", LlamaCpp, func() bool { return found.Settings != nil }},
		{"/api/version", Ollama, func() bool { return found.Version != "" }},
		{"/get_model_info", SGLang, func() bool { return found.ModelPath != "" && found.Generation != nil }},
		{"/get_world_size/", TRL, func() bool { return found.World != nil }},
	} {
		absent, err := c.get(ctx, k.path, &found)
		if err != nil {
			return "", err
		}
		if !absent && k.is() {
			return k.kind, nil
		}
	}
	if strings.Contains(noList, "HTTPS") { // the words of Go's and nginx's servers
		return "", fmt.Errorf("%w: url: the server wants https: write https:// (%s)", ErrRole, noList)
	}
	if noList != "" && c.role.Model == "" {
		return "", fmt.Errorf("%w: url: no model server answers at %s, on no route that one would have (%s); look at the address and its path, or name the server and the model if it lists none", ErrRole, c.role.Addresses()[0], noList)
	}
	return Hosted, nil
}

// nameModel settles which of the served models is meant.
func (c *Client) nameModel(cards []card) error {
	if c.role.Model == "" {
		var bases []card
		for _, d := range cards {
			if d.Parent == nil || *d.Parent == "" {
				bases = append(bases, d)
			}
		}
		switch {
		case len(bases) == 1:
			c.role.Model = bases[0].ID
		case len(bases) > 1:
			return fmt.Errorf("%w: model: missing, and the server has %s", ErrRole, few(c.facts.Served))
		case c.facts.Server == Hosted || c.facts.Server == Ollama:
			return fmt.Errorf("%w: model: missing, and the server lists none", ErrRole)
		}
	}
	c.facts.Model = c.role.Model
	known := slices.IndexFunc(cards, func(d card) bool {
		return d.ID == c.role.Model || c.facts.Server == Ollama && d.ID == c.role.Model+":latest"
	})
	if known >= 0 {
		d := cards[known]
		c.facts.Root, c.facts.Revision = d.Root, d.Digest
		c.facts.MaxLength = max(d.MaxModelLen, d.ContextLength)
		return nil
	}
	if len(cards) > 0 && (c.facts.Server == VLLM || c.facts.Server == SGLang || c.facts.Server == Stargate || c.facts.Server == Ollama) {
		return fmt.Errorf("%w: model: the server has no %q, it has %s", ErrRole, c.role.Model, few(c.facts.Served))
	}
	return nil
}

func few(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// askDetails asks for version, length and revision where the kind of server has a route for
// them. A route that is missing tells nothing.
func (c *Client) askDetails(ctx context.Context) error {
	f := &c.facts
	switch f.Server {
	case VLLM:
		var v struct {
			Version string `json:"version"`
		}
		if _, err := c.get(ctx, "/version", &v); err != nil {
			return err
		}
		f.Version = v.Version
	case SGLang:
		var info struct {
			ModelPath     string `json:"model_path"`
			WeightVersion string `json:"weight_version"`
		}
		absent, err := c.get(ctx, "/get_model_info", &info)
		if err == nil && absent {
			_, err = c.get(ctx, "/model_info", &info)
		}
		if err != nil {
			return err
		}
		f.Root, f.Revision = firstOf(f.Root, info.ModelPath), firstOf(f.Revision, info.WeightVersion)
		var server struct {
			Version string `json:"version"`
		}
		if absent, err = c.get(ctx, "/get_server_info", &server); err == nil && absent {
			_, err = c.get(ctx, "/server_info", &server)
		}
		if err != nil {
			return err
		}
		f.Version = server.Version
	case TGI:
		var info struct {
			ModelID  string  `json:"model_id"`
			ModelSHA *string `json:"model_sha"`
			Most     int     `json:"max_total_tokens"`
			Version  string  `json:"version"`
		}
		if _, err := c.get(ctx, "/info", &info); err != nil {
			return err
		}
		f.Version, f.Root, f.MaxLength = info.Version, info.ModelID, info.Most
		if info.ModelSHA != nil {
			f.Revision = *info.ModelSHA
		}
	case LlamaCpp:
		var props struct {
			Settings struct {
				Context int `json:"n_ctx"`
			} `json:"default_generation_settings"`
			Slots     int    `json:"total_slots"`
			ModelPath string `json:"model_path"`
			Build     string `json:"build_info"`
		}
		if _, err := c.get(ctx, "/props", &props); err != nil {
			return err
		}
		f.Version, f.Root = props.Build, path.Base(props.ModelPath)
		f.MaxLength = props.Settings.Context
		f.atOnce = 2 * max(1, props.Slots) // the others would wait in the server until their time is over
	case Ollama:
		var v struct {
			Version string `json:"version"`
		}
		if _, err := c.get(ctx, "/api/version", &v); err != nil {
			return err
		}
		f.Version, f.atOnce = v.Version, 8 // OLLAMA_NUM_PARALLEL is 1 to 4, and the server does not tell it
		var tags struct {
			Models []struct {
				Name   string `json:"name"`
				Digest string `json:"digest"`
			} `json:"models"`
		}
		if _, err := c.get(ctx, "/api/tags", &tags); err != nil {
			return err
		}
		for _, m := range tags.Models {
			if m.Name == c.role.Model || m.Name == c.role.Model+":latest" {
				f.Revision = m.Digest
			}
		}
	}
	return nil
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
