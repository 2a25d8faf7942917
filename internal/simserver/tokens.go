package simserver

import (
	"fmt"

	"stargate/lm"
)

// The special tokens of the chat template.
const (
	tokenBegin int32 = 1 + iota
	tokenEnd
	tokenSystem
	tokenUser
	tokenAssistant
)

var specials = map[int32]string{tokenBegin: "<s>", tokenEnd: "</s>", tokenSystem: "<|system|>", tokenUser: "<|user|>", tokenAssistant: "<|assistant|>"}

var roleTokens = map[lm.Role]int32{lm.System: tokenSystem, lm.User: tokenUser, lm.Assistant: tokenAssistant}

// pieceBytes is how many bytes a token holds: an id is their number and the bytes
// themselves, so a vocabulary needs no table.
const pieceBytes = 3

// encode is the tokens of a text.
func encode(ids []int32, text string) []int32 {
	for len(text) > 0 {
		n := min(pieceBytes, len(text))
		id := int32(n)
		for i := range pieceBytes {
			id <<= 8
			if i < n {
				id |= int32(text[i])
			}
		}
		ids = append(ids, id)
		text = text[n:]
	}
	return ids
}

// decode adds the text of a token.
func decode(text []byte, id int32) ([]byte, error) {
	if s, ok := specials[id]; ok {
		return append(text, s...), nil
	}
	n := id >> 24
	if n < 1 || n > pieceBytes {
		return nil, fmt.Errorf("token id %d is not in the vocabulary", id)
	}
	for i := range n {
		text = append(text, byte(id>>(16-8*i)))
	}
	return text, nil
}

// render is the chat template: <s>, then for each message the role's token, the text and
// </s>; the last message may be left open, or a new turn of the assistant be opened.
func render(chat lm.Chat, open, turn bool) []int32 {
	n := 2
	for _, m := range chat {
		n += 3 + len(m.Content)/pieceBytes
	}
	ids := append(make([]int32, 0, n), tokenBegin)
	for i, m := range chat {
		ids = encode(append(ids, roleTokens[m.Role]), m.Content)
		if !open || i < len(chat)-1 {
			ids = append(ids, tokenEnd)
		}
	}
	if turn {
		ids = append(ids, tokenAssistant)
	}
	return ids
}

// lastMessage is the text of the last whole message of a prompt, or of all of a prompt
// without messages.
func lastMessage(ids []int32) (string, error) {
	end := len(ids)
	for i := len(ids) - 1; i >= 0 && end == len(ids); i-- {
		if ids[i] == tokenEnd {
			end = i
		}
	}
	begin := end
	for begin > 0 && specials[ids[begin-1]] == "" {
		begin--
	}
	var text []byte
	var err error
	for _, id := range ids[begin:end] {
		if text, err = decode(text, id); err != nil {
			return "", err
		}
	}
	return string(text), nil
}
