// The texts whose ids are frozen: the kinds of text that pre-tokenizers treat differently.
export const texts = [
  "", " ", "  ", "\n", " \n ", "\t\tx", "Hello world", "hello  world   !", "What would you like to cook tonight?", "I'm sure it's what we'll've done, isn't it?",
  "I'M SURE IT'S WE'LL", "it'\u017f", "'", "''s 's", "don\u2019t", "x=1;y=22;z=333333", "1234567890", "3.14 \u00bd \u2460\u0663", "na\u00efve caf\u00e9", "cafe\u0301 A\u030a \ufb01",
  "F\u00fchrer \u4f60\u597d \u3053\u3093\u306b\u3061\u306f", "\ud83d\ude00\ud83d\udc4d\ud83c\udffd emoji \ud83c\uddeb\ud83c\uddf7", "a\u00a0b\u2003c\u3000d\u0085e\u200bf", "line\r\nline\r\n\r\n\r\nend", "a\n\n\n b\n \n  c  ", "tabs\t\tand  spaces \t mix",
  "(paren) [brack] {brace}", "#include <stdio.h>\nint main() { return 0; }\n", "---***===!!!\n\n\n", "...\r\n?!\n", "e.g. U.S.A., p. 12--14", "\u0000\u0001\u007f", "\ufffd\ufeffBOM",
  "<|user|>Help me plan a party.<|end|>", "<|user|><|user|><|end|><|end|>", "<|user |> <|end|", "a<|end|>b <|end|> c", "<|", "  <|  |>  ", "zzz\u00e9zz<|end|>", "\u01c5ungla \u02b0 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0928\u092e\u0938\u094d\u0924\u0947",
  "the ".repeat(60), "colour".repeat(40), "ThisIsCamelCase and snake_case_names kebab-case", "$12.50 + 7% = \u20ac13,37", "\u2167 \u00b2\u00b3 x\u00b2", "Line one.  Line two.   Line three.    ", "\ud55c <|\u1112\u1161\u11ab|>",
];

// random gives texts of pieces that normalizers, pre-tokenizers and merges treat differently,
// the same ones every time.
export function random(count) {
  const pieces = [" ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", "\u00a0", "\u2003", "\u3000", "\u2581", "\u2581\u2581", "a", "the", "The", "ing", "tion", "colour", "world", "I'm", "'S", "'\u017f", "0", "7", "42", "2024", "12345678",
    ".", "...", "!?", "(", ")", "\"", "'", "-", "--", "_", "/", "=", "==", "{}", "<", ">", "<s>", "</s>", "<unk>", "<0x41>", "<|im_start|>", "<|end|>", "\u00e9", "e\u0301", "\u00fc", "\u00df", "\u0130", "\u1e9e", "\u03a3", "\u03c3", "\ufb01", "\u2460", "\u00bd", "\u0663",
    "\u4f60\u597d", "\u3053\u3093", "\ud55c\uad6d", "\u1112\u1161\u11ab", "\u0417\u0434\u0440\u0430\u0432\u0441\u0442\u0432\u0443\u0439", "\u0645\u0631\u062d\u0628\u0627", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "\u0928\u092e\u0938\u094d\u0924\u0947", "\ud83d\ude00", "\ud83d\udc69\u200d\ud83d\udcbb", "\ud83c\uddeb\ud83c\uddf7", "\u200b", "\u200d", "\ufeff", "\ufffd", "\u0000", "\u0001", "\u007f", "\u0085", "\u2028"];
  let state = 1;
  const next = (n) => (state = (state * 48271) % 2147483647) % n;
  const marks = (n) => "\u0301\u0316\u0323".repeat(n); // more than some libraries keep together
  return ["xe" + marks(20) + "y\u0301", marks(12), ...Array.from({ length: count }, () => Array.from({ length: 1 + next(12) }, () => pieces[next(pieces.length)]).join(""))];
}
