package remote

import "stargate/lm"

// auditPair is a chat with an answer to score.
type auditPair struct {
	key    string
	chat   lm.Chat
	target string
}

// auditPairs are the eight pairs of every audit. They share beginnings, as the conversations
// of a run do, and differ in length, turns and kinds of characters. All but one target end in
// the middle of a sentence, where an end of the turn is improbable: counting one shows.
var auditPairs = func() []auditPair {
	u := func(text string) lm.Message { return lm.Message{Role: lm.User, Content: text} }
	a := func(text string) lm.Message { return lm.Message{Role: lm.Assistant, Content: text} }
	garden := "I would like to plant a small garden behind my house. Where do I begin?"
	return []auditPair{
		{"one turn", lm.Chat{u(garden)}, "Begin with the soil, because everything that you plant later will"},
		{"three turns", lm.Chat{u(garden), a("How much sun does it get?"), u("About four hours in the morning.")}, "Four hours are enough for lettuce, spinach and"},
		{"five turns", lm.Chat{u(garden), a("How much sun does it get?"), u("About four hours in the morning."), a("And how much time do you have?"), u("Two evenings a week.")}, "Then choose plants that forgive a dry day, such as thyme and"},
		{"same chat, other answer", lm.Chat{u(garden)}, "Before anything else, may I ask what you would like to"},
		{"short answer", lm.Chat{u("Is seven a prime number? Answer with one word.")}, "Yes"},
		{"long answer", lm.Chat{u("Describe a market in the early morning.")}, "The square is still half dark when the first carts arrive. Someone sweeps the stones, someone else sets out crates of pears, and the smell of bread comes from the open door of the bakery at the corner, where a boy with flour on his sleeves is stacking loaves into a"},
		{"letters and signs", lm.Chat{u("Schreib mir bitte die Zutaten für Crème brûlée auf: je 1 Zeile!")}, "– 500 ml Sahne (30 %)\n– 6 Eigelb\n– 100 g Zucker\n– 1 Vanilleschote, d. h. das Mark der"},
		{"numbers and code", lm.Chat{u("Write a loop in C that prints the squares of 0 to 9.")}, "for (int i = 0; i < 10; i++) {\n\tprintf(\"%d\\n\", i *"},
	}
}()

// permutation is another order of the pairs, without a place in common.
var permutation = []int{3, 6, 5, 0, 7, 2, 1, 4}
