package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// The names of the files beside tokenizer.json.
const (
	File           = "tokenizer.json"
	ConfigFile     = "tokenizer_config.json"
	GenerationFile = "generation_config.json"
)

// Config is tokenizer_config.json: how transformers wraps tokenizer.json. Written with
// [JSON], it makes transformers load the tokenizer as it is.
type Config struct {
	TokenizerClass string      `json:"tokenizer_class"` // the Python class; empty is written as the one for any tokenizer.json
	BOSToken       SpecialText `json:"bos_token"`
	EOSToken       SpecialText `json:"eos_token"`
	PadToken       SpecialText `json:"pad_token"`
	ModelMaxLength float64     `json:"model_max_length"` // tokens; 1e30 in files that set no limit
	CleanUpSpaces  bool        `json:"clean_up_tokenization_spaces"`
	ChatTemplate   string      `json:"chat_template,omitempty"` // Jinja; newer models have it in chat_template.jinja
	AddBOSToken    *bool       `json:"add_bos_token,omitempty"`
}

// MarshalJSON writes PreTrainedTokenizerFast for no class.
func (c Config) MarshalJSON() ([]byte, error) {
	if c.TokenizerClass == "" {
		c.TokenizerClass = "PreTrainedTokenizerFast"
	}
	type plain Config // without this method
	return marshal(plain(c))
}

// UnmarshalJSON accepts a list of named chat templates, which a few models have, and takes
// the one named default.
func (c *Config) UnmarshalJSON(data []byte) error {
	type plain Config // without this method
	file := struct {
		*plain
		ChatTemplate json.RawMessage `json:"chat_template"`
	}{plain: (*plain)(c)}
	if err := json.Unmarshal(data, &file); err != nil {
		return err
	}
	if len(file.ChatTemplate) == 0 || json.Unmarshal(file.ChatTemplate, &c.ChatTemplate) == nil {
		return nil
	}
	var named []struct{ Name, Template string }
	if err := json.Unmarshal(file.ChatTemplate, &named); err != nil {
		return fmt.Errorf("chat_template: %w", err)
	}
	for _, n := range named {
		if n.Name == "default" {
			c.ChatTemplate = n.Template
			return nil
		}
	}
	return errors.New("chat_template is a list without a default template")
}

// SpecialText is the spelling of a special token; old files wrap it in an object. Empty
// means there is none, written as null.
type SpecialText string

// UnmarshalJSON accepts a string, an object with the field content, and null.
func (s *SpecialText) UnmarshalJSON(data []byte) error {
	var object struct {
		Content string `json:"content"`
	}
	if json.Unmarshal(data, (*string)(s)) == nil {
		return nil
	}
	if err := json.Unmarshal(data, &object); err != nil {
		return err
	}
	*s = SpecialText(object.Content)
	return nil
}

// MarshalJSON writes null for no token.
func (s SpecialText) MarshalJSON() ([]byte, error) {
	if s == "" {
		return []byte("null"), nil
	}
	return marshal(string(s))
}

// ReadConfig reads tokenizer_config.json.
func ReadConfig(data []byte) (Config, error) {
	var c Config
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("%s: %w", ConfigFile, err)
	}
	return c, nil
}

// Generation is generation_config.json: which tokens end a turn.
type Generation struct {
	BOSTokenID *int32 `json:"bos_token_id,omitempty"`
	EOSTokenID IDs    `json:"eos_token_id"`
	PadTokenID *int32 `json:"pad_token_id,omitempty"`
}

// IDs is one id or a list of them.
type IDs []int32

// UnmarshalJSON accepts an id, a list and null.
func (ids *IDs) UnmarshalJSON(data []byte) error {
	var one int32
	if bytes.Equal(data, []byte("null")) {
		*ids = nil
		return nil
	}
	if json.Unmarshal(data, &one) == nil {
		*ids = IDs{one}
		return nil
	}
	return json.Unmarshal(data, (*[]int32)(ids))
}

// MarshalJSON writes one id as a number.
func (ids IDs) MarshalJSON() ([]byte, error) {
	if len(ids) == 1 {
		return json.Marshal(ids[0])
	}
	return json.Marshal([]int32(ids))
}

// ReadGeneration reads generation_config.json.
func ReadGeneration(data []byte) (Generation, error) {
	var g Generation
	if err := json.Unmarshal(data, &g); err != nil {
		return g, fmt.Errorf("%s: %w", GenerationFile, err)
	}
	return g, nil
}

// JSON is the text of a side file, [Config] or [Generation].
func JSON(v any) ([]byte, error) {
	data, err := marshal(v)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
