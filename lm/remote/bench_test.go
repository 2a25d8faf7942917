package remote

import (
	"fmt"
	"strings"
	"testing"

	"stargate/lm"
)

// BenchmarkParseScores reads the scores of a prompt of 1000 tokens with a gold of 200.
func BenchmarkParseScores(b *testing.B) {
	s := sequence{from: 800}
	var list, ids strings.Builder
	list.WriteString("[null")
	for i := range 1000 {
		id := int32(20000 + i)
		s.ids = append(s.ids, id)
		if i > 0 {
			fmt.Fprintf(&list, `,{"%d":{"logprob":%g,"rank":%d,"decoded_token":" token"}}`, id, -float64(i)/977, i)
			ids.WriteByte(',')
		}
		fmt.Fprint(&ids, id)
	}
	list.WriteByte(']')
	answer := []byte(fmt.Sprintf(`{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":"x","logprobs":null,"finish_reason":"length","stop_reason":null,"token_ids":[1],"prompt_token_ids":[%s],"prompt_logprobs":%s}],"usage":{"prompt_tokens":1000,"completion_tokens":1}}`, &ids, &list))
	b.SetBytes(int64(len(answer)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parsePromptLogProbs(answer, []sequence{s}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGenerate is the work of one generation around the transport: the request of a
// chat of 3000 bytes, and an answer of 64 tokens.
func BenchmarkGenerate(b *testing.B) {
	c := fuzzClient(VLLM)
	chat := lm.Chat{{Role: lm.User, Content: strings.Repeat("What would you like to do? ", 111)}}
	answer := []byte(`{"model":"m","choices":[{"message":{"role":"assistant","content":"` + strings.Repeat("Hello. ", 40) + `"},"finish_reason":"stop","stop_reason":null,"token_ids":[` + strings.Repeat("12345,", 64) + `2]}],"prompt_token_ids":[` + strings.Repeat("12345,", 700) + `1],"usage":{"prompt_tokens":701,"completion_tokens":65}}`)
	b.ReportAllocs()
	for b.Loop() {
		q, err := c.request(b.Context(), chat, lm.Sampling{Temperature: 1, MaxTokens: 64})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := q.parse(answer); err != nil {
			b.Fatal(err)
		}
	}
}
