package scale

import (
	"context"
	"hash/fnv"
	"strings"

	"stargate/lm"
	"stargate/runner"
)

// scripted is the base model of these runs: it answers at once, with as much text as a model
// would, that depends on the request alone. The digest changes with what it says.
func scripted() *runner.Scripted {
	return &runner.Scripted{Model: script{}, Digest: strings.Repeat("5ca1e", 12) + "0001"}
}

type script struct{}

// How long texts are, in bytes, about: the paper's questions and answers, and its gold responses
// of ten sentences at most.
const (
	questionBytes = 110
	answerBytes   = 140
	responseBytes = 600
	personaBytes  = 600
	taskBytes     = 110
	tokenBytes    = 4 // of English, about
)

// Generate implements [lm.Generator].
func (script) Generate(ctx context.Context, chat lm.Chat, s lm.Sampling) (lm.Completion, error) {
	if err := ctx.Err(); err != nil {
		return lm.Completion{}, err
	}
	seed, prompt := read(chat)
	words := newWords(seed ^ s.Seed*0x9e3779b97f4a7c15)
	c := lm.Completion{Finish: lm.FinishStop}
	switch last := chat[len(chat)-1].Content; {
	case strings.Contains(last, "Final Response:"):
		c.Text = words.text(answerBytes) + "\nFinal Response: " + string('A'+rune(seed%2))
	case s.Temperature == 0:
		c.Text = words.text(responseBytes)
	case strings.Contains(chat[0].Content, "The assistant asks"), strings.Contains(last, "The assistant asks"):
		c.Text = words.text(answerBytes)
	default:
		c.Text = words.sentence(questionBytes, "?")
	}
	c.Usage = lm.Usage{PromptTokens: prompt / tokenBytes, CompletionTokens: len(c.Text) / tokenBytes}
	return c, nil
}

// LogProb implements [lm.Scorer]: with a number for every token, as servers give them.
func (script) LogProb(ctx context.Context, chat lm.Chat, target string) (lm.LogProb, error) {
	if err := ctx.Err(); err != nil {
		return lm.LogProb{}, err
	}
	if target == "" {
		return lm.LogProb{}, lm.ErrEmptyTarget
	}
	seed, prompt := read(chat)
	n := max(len(target)/tokenBytes, 1)
	l := lm.LogProb{Tokens: make([]lm.TokenLogProb, n), Usage: lm.Usage{PromptTokens: prompt / tokenBytes, CompletionTokens: n}}
	for i := range l.Tokens {
		seed = step(seed)
		l.Tokens[i] = lm.TokenLogProb{ID: int32(seed >> 49), LogProb: -float64(seed>>40&0xffffff) / 0x400000}
		l.Sum += l.Tokens[i].LogProb
	}
	return l, nil
}

// read is a number that depends on all of the chat, and its length in bytes.
func read(chat lm.Chat) (seed uint64, size int) {
	h := fnv.New64a()
	for _, m := range chat {
		_, _ = h.Write([]byte(m.Role)) // a hash does not fail
		_, _ = h.Write([]byte(m.Content))
		size += len(m.Content)
	}
	return h.Sum64(), size
}

// step is xorshift.
func step(x uint64) uint64 {
	x ^= x << 13
	x ^= x >> 7
	return x ^ x<<17
}

// words draws words as often as text has them: the n-th of the list with a share of about 1/n.
type words struct{ state uint64 }

func newWords(seed uint64) *words { return &words{seed | 1} }

func (w *words) next() uint64 {
	w.state = step(w.state)
	return w.state * 0x2545f4914f6cdd1d
}

func (w *words) word() string {
	// The product of two uniform numbers leans to small ones.
	a, b := w.next()>>40, w.next()>>40
	return vocabulary[a*b*uint64(len(vocabulary))>>48]
}

// sentence is about size bytes long.
func (w *words) sentence(size int, end string) string {
	var b strings.Builder
	for b.Len() < size {
		if b.Len() > 0 {
			b.WriteByte(' ')
			b.WriteString(w.word())
			continue
		}
		first := w.word()
		b.WriteString(strings.ToUpper(first[:1]) + first[1:])
	}
	return b.String() + end
}

// text is sentences of about size bytes in all.
func (w *words) text(size int) string {
	var all []string
	for n := 0; n < size; n += 70 {
		all = append(all, w.sentence(min(70, size-n), "."))
	}
	return strings.Join(all, " ")
}

var vocabulary = strings.Fields(`the of and to a in is it you that he was for on are with as his they be at one have this from or had by
hot word but what some we can out other were all there when up use your how said an each she which do their time if will way about many then
them write would like so these her long make thing see him two has look more day could go come did number sound no most people my over know
water than call first who may down side been now find any new work part take get place made live where after back little only round man year
came show every good me give our under name very through just form sentence great think say help low line differ turn cause much mean before
move right boy old too same tell does set three want air well also play small end put home read hand port large spell add even land here must
big high such follow act why ask men change went light kind off need house picture try us again animal point mother world near build self
earth father head stand own page should country found answer school grow study still learn plant cover food sun four between state keep eye
never last let thought city tree cross farm hard start might story saw far sea draw left late run while press close night real life few north
book carry took science eat room friend began idea fish mountain stop once base hear horse cut sure watch color face wood main open seem
together next white children begin got walk example ease paper group always music those both mark often letter until mile river car feet care
second enough plain girl usual young ready above ever red list though feel talk bird soon body dog family direct pose leave song measure door
product black short numeral class wind question happen complete ship area half rock order fire south problem piece told knew pass since top
whole king space heard best hour better true during hundred five remember step early hold west ground interest reach fast verb sing listen
six table travel less morning ten simple several vowel toward war lay against pattern slow center love person money serve appear road map
rain rule govern pull cold notice voice unit power town fine certain fly fall lead cry dark machine note wait plan figure star box noun field
rest correct able pound done beauty drive stood contain front teach week final gave green quick develop ocean warm free minute strong special
mind behind clear tail produce fact street inch multiply nothing course stay wheel full force blue object decide surface deep moon island
foot system busy test record boat common gold possible plane stead dry wonder laugh thousand ago ran check game shape equate miss brought
heat snow tire bring yes distant fill east paint language among`)
