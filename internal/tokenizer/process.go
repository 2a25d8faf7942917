package tokenizer

import (
	"encoding/json"
	"fmt"
)

// readPostProcessor reads which ids are put around a text (Hugging Face tokenizers, processors/).
func (s *scheme) readPostProcessor(raw json.RawMessage) error {
	kind, err := kindOf("post_processor", raw)
	if err != nil || kind == "" {
		return err
	}
	switch kind {
	case "ByteLevel": // about offsets only
		return fields(kind, raw, &byteLevel{})
	case "TemplateProcessing":
		return s.addTemplate(raw)
	case "BertProcessing", "RobertaProcessing":
		var c struct {
			Sep            tokenAndID `json:"sep"`
			Cls            tokenAndID `json:"cls"`
			TrimOffsets    bool       `json:"trim_offsets"`
			AddPrefixSpace bool       `json:"add_prefix_space"`
		}
		if err := fields(kind, raw, &c); err != nil {
			return err
		}
		s.surround([]int32{int32(c.Cls)}, []int32{int32(c.Sep)})
	case "Sequence":
		var c struct {
			Processors []json.RawMessage `json:"processors"`
		}
		if err := fields(kind, raw, &c); err != nil {
			return err
		}
		for _, p := range c.Processors {
			if err := s.readPostProcessor(p); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("%w: post_processor %q", ErrUnsupported, kind)
	}
	return nil
}

// surround puts ids outside of those that are there already.
func (s *scheme) surround(before, after []int32) {
	s.before = append(before, s.before...)
	s.after = append(s.after, after...)
}

// addTemplate reads a TemplateProcessing: ids and, once, the text. The template for pairs of
// texts is not for language models.
func (s *scheme) addTemplate(raw json.RawMessage) error {
	type part struct {
		SpecialToken *struct {
			ID     string `json:"id"`
			TypeID int    `json:"type_id"`
		}
		Sequence *struct {
			ID     string `json:"id"`
			TypeID int    `json:"type_id"`
		}
	}
	var c struct {
		Single        []part          `json:"single"`
		Pair          json.RawMessage `json:"pair"`
		SpecialTokens map[string]struct {
			ID     string   `json:"id"`
			IDs    []int32  `json:"ids"`
			Tokens []string `json:"tokens"`
		} `json:"special_tokens"`
	}
	if err := fields("TemplateProcessing", raw, &c); err != nil {
		return err
	}
	texts := 0
	var around [2][]int32
	for _, p := range c.Single {
		switch {
		case p.Sequence != nil && p.SpecialToken == nil && p.Sequence.ID == "A" && texts == 0:
			texts++
		case p.SpecialToken != nil && p.Sequence == nil:
			token, ok := c.SpecialTokens[p.SpecialToken.ID]
			if !ok {
				return fmt.Errorf("TemplateProcessing: special token %q has no ids", p.SpecialToken.ID)
			}
			around[texts] = append(around[texts], token.IDs...)
		default:
			return fmt.Errorf("%w: TemplateProcessing whose single is not special tokens around one sequence A", ErrUnsupported)
		}
	}
	if texts == 0 {
		return fmt.Errorf("%w: TemplateProcessing whose single is without the sequence A", ErrUnsupported)
	}
	s.surround(around[0], around[1])
	return nil
}

// tokenAndID is ["token",id].
type tokenAndID int32

// UnmarshalJSON reads the id; the spelling says the same.
func (t *tokenAndID) UnmarshalJSON(data []byte) error {
	var parts [2]json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	return json.Unmarshal(parts[1], (*int32)(t))
}
