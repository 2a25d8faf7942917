package eval

import "stargate/eval/judge"

// Conditions of a gold log-probability.
const (
	Negative           = "neg"
	Positive           = "pos"
	QExperimental      = "qa"
	QRandom            = "rand"
	PositiveExperiment = "pos+qa"
)

// Subsets of a pair's conversations.
const (
	All  = "all"  // the mean over all complete conversations
	Top1 = "top1" // the one that scores best
)

// Kind says what the models of a result are to each other.
type Kind string

// The kinds of results.
const (
	Iterations  Kind = ""       // m0, m1, …: each was trained on what its predecessor asked
	Contestants Kind = "models" // any models; the first is what the others are compared with
)

// Result is report.json: what a run measured, without times or places, so that the same
// run gives the same bytes. docs/report.schema.json is its schema. What was not measured
// is absent, never zero.
type Result struct {
	Experiment  string           `json:"experiment"`
	Kind        Kind             `json:"kind,omitempty"`
	Seed        uint64           `json:"seed"`
	Models      []string         `json:"models"` // "m0", "m1", …; or by name, the baseline first
	GoldLogProb []GoldLogProb    `json:"gold_logprob"`
	WinRate     []WinRate        `json:"win_rate"`
	Baselines   []Baseline       `json:"baselines,omitempty"`
	Questions   []Questions      `json:"questions"`
	Optimum     *Optimum         `json:"optimum"` // null where the world's truth is not known
	Dropped     map[string]int   `json:"dropped"` // conversations and responses given up, by flaw
	Redrawn     map[string]int   `json:"redrawn"` // turns drawn again, by flaw
	Calls       map[string]Calls `json:"calls"`   // by role
	Training    []Training       `json:"training"`
	Shapes      []Shape          `json:"shapes"`

	// What follows came with later versions of the program and may be absent.

	Paired      []Paired         `json:"paired,omitempty"`
	WinChecks   []WinCheck       `json:"win_checks,omitempty"`
	Grounding   []Grounding      `json:"grounding,omitempty"` // facts of judged responses; needs a known truth
	Judges      []judge.Audit    `json:"judges,omitempty"`
	Agreement   *judge.Agreement `json:"agreement,omitempty"`   // of several judges
	Reliability []Reliability    `json:"reliability,omitempty"` // of the reward, on the test split and in training
	Diversity   []Diversity      `json:"diversity,omitempty"`   // of questions
	Credit      []Credit         `json:"credit,omitempty"`      // what questions were worth
	WhenToAsk   *WhenToAsk       `json:"when_to_ask,omitempty"` // over-asking and under-asking
	TaskKinds   *TaskKinds       `json:"task_kinds,omitempty"`  // general and specific tasks apart
	LeftOut     *LeftOut         `json:"left_out,omitempty"`    // of the data; absent: nothing
}

// LeftOut is what of the user's data a run does without.
type LeftOut struct {
	Pairs   []LeftOutPair  `json:"pairs,omitempty"`   // without a gold response, in the order of the splits
	Entries []LeftOutEntry `json:"entries,omitempty"` // of the files: empty or repeated
}

// LeftOutPair is a pair that the Oracle has no gold response for.
type LeftOutPair struct {
	Split   string `json:"split"`
	Task    string `json:"task"` // id
	Persona string `json:"persona"`
	Reason  string `json:"reason"` // "refused", "empty", "truncated", …
}

// LeftOutEntry is an entry of a file.
type LeftOutEntry struct {
	Where  string `json:"where"` // file and line
	Reason string `json:"reason"`
}

// GoldLogProb is a mean of log p_{Q_BASE}(gold | context) over pairs, in nats.
type GoldLogProb struct {
	Condition string      `json:"condition"`
	Model     string      `json:"model"` // who asked; "m0" for the controls
	Subset    string      `json:"subset"`
	Mean      float64     `json:"mean"`
	SEM       float64     `json:"sem"`       // clustered by task and persona
	PairsSEM  float64     `json:"sem_pairs"` // as if pairs were independent
	N         int         `json:"n"`         // pairs
	PerToken  float64     `json:"per_token"`
	Delta     float64     `json:"delta"`     // mean paired difference from m0
	DeltaSEM  float64     `json:"delta_sem"` // clustered; 0 for m0
	DeltaLow  float64     `json:"delta_low"` // 95 % interval of delta
	DeltaHigh float64     `json:"delta_high"`
	ByTurns   []GoldTurns `json:"by_turns"`
}

// GoldTurns is a gold log-probability at one length of conversation; for the controls, of
// the pairs whose conversations have that length.
type GoldTurns struct {
	Turns int     `json:"turns"`
	Mean  float64 `json:"mean"`
	SEM   float64 `json:"sem"`
	N     int     `json:"n"`
}

// WinRate compares a model's responses with m0's.
type WinRate struct {
	Model   string  `json:"model"`
	Rate    float64 `json:"rate"` // (wins + ties/2) / n
	Low     float64 `json:"low"`  // 95 % interval, clustered by task and persona
	High    float64 `json:"high"`
	N       int     `json:"n"` // pairs with a verdict
	Wins    int     `json:"wins"`
	Ties    int     `json:"ties"`
	Losses  int     `json:"losses"`
	Invalid int     `json:"invalid"` // no verdict, or a response that is none
	ByTurns []Turns `json:"by_turns"`
}

// Turns is a win rate at one length of conversation.
type Turns struct {
	Turns int     `json:"turns"`
	Rate  float64 `json:"rate"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	N     int     `json:"n"`
}

// Questions describes what a model asks on the test split. Shares are of the questions in
// complete conversations. Relevant needs a world whose truth is known and is -1 elsewhere;
// redundant counts there what is repeated word for word.
type Questions struct {
	Model       string  `json:"model"`
	Wellformed  float64 `json:"wellformed"`   // of all questions drawn, those thrown away included
	Relevant    float64 `json:"relevant"`     // asks for a relevant attribute that was not asked for before
	RelevantSEM float64 `json:"relevant_sem"` // clustered; 0 where relevant is -1
	Redundant   float64 `json:"redundant"`    // asks for what was asked before in the conversation
	Distinct    float64 `json:"distinct"`     // different questions per question
	Words       float64 `json:"words"`        // mean length
	N           int     `json:"n"`
}

// Optimum is what a Questioner that knows the relevant attributes would reach: its
// conversations are simulated with the same Roleplayer and scored the same way.
type Optimum struct {
	GoldLogProb    float64 `json:"gold_logprob"`
	SEM            float64 `json:"sem"`
	Relevant       float64 `json:"relevant"`        // share of its questions that are relevant
	ChanceRelevant float64 `json:"chance_relevant"` // of questions drawn uniformly from all attributes
	N              int     `json:"n"`               // pairs
	Reached        string  `json:"reached"`         // first model whose Q-experimental is not below it at 95 %, or ""
	Gaps           []Gap   `json:"gaps"`            // by model
}

// Gap is how far a model's Q-experimental is from the optimum: the mean paired difference,
// negative below it, with its 95 % interval.
type Gap struct {
	Model string  `json:"model"`
	Mean  float64 `json:"mean"`
	SEM   float64 `json:"sem"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Reached tells that the model is not below the optimum at 95 %.
func (g Gap) Reached() bool { return g.High >= 0 }

// Calls counts a role's model calls over the whole run.
type Calls struct {
	Made      int     `json:"made"`
	TokensIn  int     `json:"tokens_in"`
	TokensOut int     `json:"tokens_out"`
	Cost      float64 `json:"cost,omitempty"` // at the prices of the experiment, where a server plays the role
}

// Training is the curve of one fine-tune.
type Training struct {
	Model    string     `json:"model"`
	Split    string     `json:"split"`
	Examples int        `json:"examples"`
	Loss     []float64  `json:"loss"`            // by optimiser step, nats per trained token
	EvalLoss [2]float64 `json:"eval_loss"`       // held-out, before and after
	Relevant [2]float64 `json:"relevant"`        // share of relevant questions: all candidates, selected ones; -1 if not known
	Margin   float64    `json:"margin"`          // nats between the best and the mean candidate
	Notes    []string   `json:"notes,omitempty"` // the trainer's, in sentences
}

// Shape is one of the paper's findings that should hold at any scale (PROTOCOL §8).
type Shape struct {
	ID       string `json:"id"`   // "a" … "f"
	Seen     *bool  `json:"seen"` // null: this run cannot tell
	Evidence string `json:"evidence"`
}
