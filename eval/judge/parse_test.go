package judge

import (
	"strings"
	"testing"

	"stargate/eval/reply"
)

// What judges write, by the habit that makes it hard. Most forms are those that public
// evaluation harnesses had to learn; the wording is ours.
func TestParse(t *testing.T) {
	for habit, texts := range map[string]map[string]Verdict{
		"as asked": {
			"Both are fine.\nFinal Response: A": First,
			"Final Response: B":                 Second,
			"final response: b.":                Second,
			"FINAL RESPONSE: A\n\n":             First,
			"Final Response:A":                  First,
			"Final Response : B":                Second,
			"final_response: A":                 First,
			"Final response is A.":              First,
			"Final Response - B":                Second,
			"Final Response – B":                Second,
			"Final Response = A":                First,
			"The final response is: B":          Second,
		},
		"markdown": {
			"**Final Response:** B":                       Second,
			"**Final Response: A**":                       First,
			"Final Response: **A**":                       First,
			"Final Response: *B*":                         Second,
			"Final Response: `A`":                         First,
			"__Final Response__: __B__":                   Second,
			"### Final Response: A":                       First,
			"### Final Response\n\nB":                     Second,
			"## Final Response:\n**A**":                   First,
			"> Final Response: B":                         Second,
			"- **Final Response**: A":                     First,
			"| Final Response: B |":                       Second,
			"Final Response: \"A\"":                       First,
			"Final Response: “B”":                         Second,
			"Final Response: [A]":                         First,
			"Final Response: (B)":                         Second,
			"Final Response: <A>":                         First,
			"```\nFinal Response: B\n```":                 Second,
			"Final Response:\n\nReply A":                  First,
			"**Final Verdict**\n\n**Reply B** is better.": Second,
		},
		"names the reply": {
			"Final Response: Response A":                           First,
			"Final Response: Reply B":                              Second,
			"Final Response: the reply A":                          First,
			"Final Response: Assistant B":                          Second,
			"Final Response: Option A":                             First,
			"Final Response: **Reply A**.":                         First,
			"Final Response: The first reply":                      First,
			"Final Response: second":                               Second,
			"Final Response: Reply 1":                              First,
			"Final Response: 2":                                    Second,
			"Final Response: Response #2":                          Second,
			"Verdict: Reply B":                                     Second,
			"Winner: A":                                            First,
			"The better reply is B.":                               Second,
			"Preferred response: A":                                First,
			"My final decision: B":                                 Second,
			"Final Response: Response A is better than Response B": First,
		},
		"goes on talking": {
			"Final Response: A (it mentions the dog)":                                                        First,
			"Final Response: A, because it fits Ann.":                                                        First,
			"Final Response: A is better.":                                                                   First,
			"Final Response: B\n\nNote: both replies are short.":                                             Second,
			"Final Response: B\n\nLet me know if you want me to compare more replies!":                       Second,
			"Final Response: A\nOn reflection\nFinal Response: B":                                            Second,
			"Final Response: A</s>":                                                                          First,
			"Final Response: A<|im_end|>":                                                                    First,
			"Final Response: B<end_of_turn>":                                                                 Second,
			"Reply A is warm. Reply B is exact. The winner is the one that is exact.\n\nFinal Response: B":   Second,
			"I considered a final response for each. A good one is short.\nFinal Response: A":                First,
			"Final Response: A\n\n(The final response was chosen for its fit, not for its length or order.)": First,
		},
		"thinks aloud": {
			"<think>Final Response: B?</think>\nFinal Response: A":                                                                 First,
			"First I look at both. Final Response: B</think>Final Response: A":                                                     First,
			"<thinking>hm</thinking><answer>Final Response: B</answer>":                                                            Second,
			"[THINK]Final Response: A[/THINK]Final Response: B":                                                                    Second,
			"◁think▷Final Response: A◁/think▷ Final Response: B":                                                                   Second,
			"<|channel|>analysis<|message|>Final Response: B<|end|><|start|>assistant<|channel|>final<|message|>Final Response: A": First,
			"<think>Final Response: A is what I lean to, but":                                                                      Invalid,
			"<|channel|>analysis<|message|>Final Response: B":                                                                      Invalid,
			"<think>a</think><think>Final Response: A":                                                                             Invalid,
		},
		"JSON": {
			`{"final_response": "A"}`: First,
			`{"reasoning": "B repeats itself", "final_response": "Reply A"}`:     First,
			"```json\n{\n  \"comparison\": \"…\",\n  \"verdict\": \"B\"\n}\n```": Second,
			`{'winner': 'A'}`:   First,
			`{"choice": "tie"}`: Tie,
			`{"better_response": "B", "confidence": 0.7}`: Second,
			`{"verdict": null}`:                           Invalid,
		},
		"brackets": {
			"My verdict: [[A]]":                       First,
			"[[B]]":                                   Second,
			"Both answer the question. [[C]]":         Tie,
			"The answer is \\boxed{A}.":               First,
			"Final Response: \\boxed{\\text{B}}":      Second,
			"$\\boxed{\\text{Reply A}}$":              First,
			"[[A]] would be wrong. So [[B]]":          Second,
			"Final Response: [[A]]":                   First,
			"I was told to write [[A]] or [[B]] here": Second,
		},
		"nothing but the verdict": {
			"A":          First,
			"**B**":      Second,
			"Reply A":    First,
			"Reply B.":   Second,
			" b ":        Second,
			"(A)":        First,
			"Tie":        Tie,
			"\uff21":     First,  // fullwidth A
			"\u0412":     Second, // Cyrillic Ve
			"Response 2": Second,
		},
		"a tie in words": {
			"Final Response: Tie":                                   Tie,
			"Final Response: It's a tie":                            Tie,
			"Final Response: a draw":                                Tie,
			"Final Response: Both are equally good.":                Tie,
			"Final Response: Neither":                               Tie,
			"Final Response: No preference":                         Tie,
			"Final Response: Equal":                                 Tie,
			"Final Response: A and B are equally good":              Tie,
			"**Verdict: tied**":                                     Tie,
			"Final Response: The same":                              Tie,
			"Final Response: no difference between the two replies": Tie,
		},
		"an echo is no answer": {
			`I will end with "Final Response: A" or "Final Response: B".`:                        Invalid,
			"I will end with \"Final Response: A\" or \"Final Response: B\".\nFinal Response: A": First,
			"Final Response: A or B":         Invalid,
			"Final Response: A/B":            Invalid,
			"Final Response: B or A?":        Invalid,
			"Final Response: [A/B]":          Invalid,
			"Final Response: \"A\" or \"B\"": Invalid,
			"Final Response: A\n\nThe line must read \"Final Response: A\" or \"Final Response: B\" exactly.": First,
		},
		"other names for the line": {
			"Final Reply: B":                                 Second,
			"Final pick: Reply A":                            First,
			"Final Reponse: B":                               Second, // spelt so
			"Selected response: A":                           First,
			"Overall winner: B":                              Second,
			"The final verdict goes to B.":                   Second,
			"The final response I choose is A.":              First,
			"My final response is: Response B":               Second,
			"Réponse finale : B":                             Second,
			"Respuesta final: A":                             First,
			"Endgültige Antwort: **B**":                      Second,
			"最终回答：A":                                         First,
			"Reply B has no cat in it.\n\nAnswer: A":         First,
			"Both are polite.\nMy choice is B.":              Second,
			"**Conclusion:** Reply B":                        Second,
			"Answer: A good plan begins with the budget":     Invalid,
			"Result: Reply A is short and reply B is longer": Invalid,
		},
		"marks and tags": {
			"<final_response>B</final_response>":         Second,
			"It fits Ann.\n<answer>A</answer>":           First,
			"<verdict> Reply B </verdict>":               Second,
			"<b>Final Response:</b> A":                   First,
			"<p>Final Response: <strong>B</strong></p>":  Second,
			"| Final Response | B |":                     Second,
			"***Final Response: A***":                    First,
			"Final Response → B":                         Second,
			"Final Response => A":                        First,
			"✅ Final Response: ✅ A":                      First,
			"Final Response: \U0001f171\ufe0f":           Second,
			"Final Response: «A»":                        First,
			"Final Response: Reply “B”":                  Second,
			"Final Response: „A“":                        First,
			"Final Response:\u200b A\u200b":              First,
			"\\textbf{Final Response: B}":                Second,
			"Final Response: $\\mathbf{A}$":              First,
			"$$\\boxed{\\text{Final Response: B}}$$":     Second,
			"[[A>>B]]":                                   First,
			"My final verdict is tie: [[A=B]]":           Tie,
			"[[B>A]]":                                    Second,
			"[[A<B]]":                                    Second,
			`{"preferred": "response_b", "why": "…"}`:    Second,
			`{"analysis": {"A": 3}, "selected": "B"}`:    Second,
			"Final Response: A[/INST]":                   First,
			"Final Response: B<|eot_id|>":                Second,
			"Final Response: A > B":                      First,
			"Final Response: ReplyA":                     First,
			"Final Response: Reply-B":                    Second,
			"Final Response: Definitely A":               First,
			"Final Response: I choose Reply B":           Second,
			"Final Response: Reply A mentions the dog.":  First,
			"Final Response: B, because A is worse.":     Second,
			"Final Response: A (B is clearly inferior)":  First,
			"Final Response: Reply A is the worse reply": Invalid,
			"Final Response: B loses":                    Invalid,
		},
		"a line of its own": {
			"Reply A names the dog. Reply B does not.\n\nA":              First,
			"Reply A names the dog.\n\n**Reply B**":                      Second,
			"B\n\nReply B asks about the budget and keeps it.":           Second,
			"**A**\nIt is warm.\n**B**\nIt is exact and short.":          Invalid,
			"**A**\nIt is warm.\n**B**\nIt is exact and short.\n\n**A**": First,
			"The steps are\n1\nand nothing else":                         Invalid,
		},
		"goes on as the next user": {
			"Final Response: A\n\nHuman: Compare these two.\nFinal Response: B":         First,
			"Final Response: B<|im_start|>user\nAnother one<|im_end|>Final Response: A": Second,
			"Final Response: A\n\n### Instruction: Judge again.\n\nFinal Response: B":   First,
			"The task was\nUser: Plan a trip.\nReply B does.\nFinal Response: B":        Second,
			"Final Response: A\nFinal Response: A":                                      First,
		},
		"no verdict": {
			"A is better":             Invalid,
			"I would choose Reply A.": Invalid,
			"Final Response: C":       Invalid, // the authors' code for a failed call
			"Final Response: Bob":     Invalid,
			"Final Response: A better reply would ask first": Invalid,
			"Final Response: A good answer is B":             Invalid,
			"Final Response: B is worse than A":              Invalid,
			"Final Response: not A":                          Invalid,
			"Final Response:":                                Invalid,
			"Final Response: unclear":                        Invalid,
			"Final Responses matter":                         Invalid,
			"Abba":                                           Invalid,
			"":                                               Invalid,
			" \n":                                            Invalid,
		},
	} {
		for text, want := range texts {
			if got, reason := Parse(text); got != want || (reason == "") != (want != Invalid) {
				t.Errorf("%s: %q is %s (%q), want %s", habit, text, got, reason, want)
			}
		}
	}
}

func TestParseReasons(t *testing.T) {
	for text, want := range map[string]Reason{
		"":                                      Empty,
		"<think>…</think>":                      Empty,
		"<think>I cannot help":                  Empty,
		"I'm sorry, but I can't help with that": Refusal,
		"I cannot compare these two replies.":   Refusal,
		"As an AI, I have no preferences.":      Refusal,
		"Both have merits.":                     Unparsable,
		"I'm sorry for Ann, who has a cat.\nFinal Response: A": "",
	} {
		if _, got := Parse(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Whatever a model writes, the parser ends and gives one of four verdicts; and a verdict
// line put behind any text that does not end in the middle of a thought is read, whatever
// stands before.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"Final Response: A", "<think>x", "{\"verdict\": \"B\"}", "[[C]]", "Final Response\n\n**B**", "\\boxed{A}", "Final Response: A or B", "I'm sorry", "\u0410", "<|channel|>final<|message|>A"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 2<<10 {
			return // small texts reach the same code, and are tried sooner
		}
		v, reason := Parse(text)
		switch v {
		case First, Second, Tie, Invalid:
		default:
			t.Fatalf("%q: verdict %q", text, v)
		}
		if (v == Invalid) == (reason == "") {
			t.Errorf("%q: verdict %s with reason %q", text, v, reason)
		}
		if again, _ := Parse(text); again != v {
			t.Errorf("%q: %s, then %s", text, v, again)
		}
		if reply.EndsInThought(text) || strings.ContainsAny(text, "{\"'") {
			return // the end may be a thought, or a JSON field may come first
		}
		if v, _ := Parse(text + "\n\nFinal Response: B\n"); v != Second {
			t.Errorf("%q and then a verdict for B: %s", text, v)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	text := strings.Repeat("Reply A names the cat, and reply B does not. ", 40) + "\n\n**Final Response: A**"
	for b.Loop() {
		if v, _ := Parse(text); v != First {
			b.Fatal(v)
		}
	}
}
