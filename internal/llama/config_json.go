package llama

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// unsupported are switches of config.json that change the computation and that this engine
// does not have; each must be absent, null, or the value here.
var unsupported = map[string]any{"mlp_bias": false, "partial_rotary_factor": 1.0, "quantization_config": nil}

// ReadConfig reads config.json. A switch this engine cannot honour is an error that names
// it ([ErrUnsupported]).
func ReadConfig(data []byte) (Config, error) {
	var c Config
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("%s: %w", ConfigFile, err)
	}
	var raw map[string]any
	if err := json.Unmarshal(data, &raw); err != nil {
		return c, fmt.Errorf("%s: %w", ConfigFile, err)
	}
	for name, want := range unsupported {
		if got, ok := raw[name]; ok && got != nil && got != want {
			return c, fmt.Errorf("%s: %w: %s is %v", ConfigFile, ErrUnsupported, name, got)
		}
	}
	c = c.WithDefaults()
	return c, c.Validate()
}

// UnmarshalJSON reads what transformers has written over the years: eos_token_id as a number or
// a list, and the rotary base beside "rope_scaling" or within "rope_parameters". It tells fields
// that are absent, for which each family has a default of its own, from those that are null.
func (c *Config) UnmarshalJSON(data []byte) error {
	var kind struct {
		ModelType string `json:"model_type"`
	}
	if err := json.Unmarshal(data, &kind); err != nil {
		return err
	}
	f := families[kind.ModelType]
	type plain Config // without its methods
	x := struct {
		*plain
		EOS    json.RawMessage `json:"eos_token_id"`
		Window json.RawMessage `json:"sliding_window"`
		KV     json.RawMessage `json:"num_key_value_heads"`
		Rope   *ropeParameters `json:"rope_parameters"`
	}{plain: (*plain)(c)}
	if err := json.Unmarshal(data, &x); err != nil {
		return err
	}
	for _, field := range []struct {
		name   string
		value  json.RawMessage
		to     *int
		absent int
	}{
		{"num_key_value_heads", x.KV, &c.NumKeyValueHeads, f.kvHeads},
		{"sliding_window", x.Window, &c.SlidingWindow, 0},
	} {
		*field.to = field.absent
		if field.value != nil {
			*field.to = 0
			if err := json.Unmarshal(field.value, field.to); err != nil {
				return fmt.Errorf("%s: %w", field.name, err)
			}
		}
	}
	if x.Rope != nil {
		if x.Rope.theta != 0 {
			c.RopeTheta = x.Rope.theta
		}
		c.RopeScaling = &x.Rope.RopeScaling
	}
	if c.RopeScaling != nil && c.RopeScaling.Type == "default" {
		c.RopeScaling = nil
	}
	if x.Window == nil && c.windowIsDefault() {
		c.SlidingWindow = defaultWindow
	}
	return c.readEndTokens(x.EOS)
}

// windowIsDefault tells whether a config without a word about sliding_window has a window that
// matters.
func (c Config) windowIsDefault() bool {
	c = c.WithDefaults()
	w := c.family().window
	return (w == everyLayer || w == chosenLayers && c.UseSlidingWindow) && c.Context() > defaultWindow
}

func (c *Config) readEndTokens(data json.RawMessage) error {
	c.EOSTokenID, c.EOSTokenIDs = nil, nil
	if data == nil || bytes.Equal(data, []byte("null")) {
		return nil
	}
	var one int32
	if json.Unmarshal(data, &one) == nil {
		c.EOSTokenID = &one
		return nil
	}
	var ids []int32
	if err := json.Unmarshal(data, &ids); err != nil {
		return fmt.Errorf("eos_token_id: %w", err)
	}
	if len(ids) > 0 {
		c.EOSTokenID, c.EOSTokenIDs = &ids[0], ids
	}
	return nil
}

// MarshalJSON writes a config that UnmarshalJSON, and transformers, read as the same.
func (c Config) MarshalJSON() ([]byte, error) {
	type plain Config // without its methods
	noWindow := c.SlidingWindow == 0 && c.windowIsDefault()
	if len(c.EOSTokenIDs) == 0 && !noWindow {
		return json.Marshal(plain(c))
	}
	x := struct {
		plain
		EOS    any             `json:"eos_token_id"`
		Window json.RawMessage `json:"sliding_window,omitempty"`
	}{plain: plain(c), EOS: c.EOSTokenID}
	if len(c.EOSTokenIDs) > 0 {
		x.EOS = c.EOSTokenIDs
	}
	switch {
	case noWindow:
		x.Window = json.RawMessage("null")
	case c.SlidingWindow > 0:
		x.Window = json.RawMessage(strconv.Itoa(c.SlidingWindow))
	}
	return json.Marshal(x)
}
