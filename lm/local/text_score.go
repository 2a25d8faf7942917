package local

import "stargate/lm"

// Prompt is [Model.Prompt] with turn: the tokens that the model continues.
func (t *Text) Prompt(chat lm.Chat) ([]int32, error) { return t.codec.prompt(chat) }

// Target is [Model.Target].
func (t *Text) Target(chat lm.Chat, target string) (ids []int32, context int, err error) {
	return t.codec.target(chat, target)
}
