package reply_test

import (
	"fmt"

	"stargate/eval/reply"
)

func Example() {
	for _, text := range []string{
		"<think>Which one?</think>Happy to help! Which city do you live in?",
		"Take the tram from Oslo; it costs ten dollars and leaves every hour. Would you like me to book it?",
		"I'm sorry, but I can't help with that.",
	} {
		fmt.Println(reply.Read(text))
	}
	// Output:
	// asks
	// answers
	// refuses
}
