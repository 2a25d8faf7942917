package export

import (
	"context"
	"errors"
	"fmt"

	"stargate/lm/local"
)

// Problem is a kind of fault that training must not run on.
type Problem string

// The problems an audit finds.
const (
	AllMasked     Problem = "all masked"         // no token is trained
	Truncated     Problem = "truncated"          // the tokens end before the words that should be trained do
	LostEnd       Problem = "lost end of turn"   // a trained message whose end the model would not learn
	LostWords     Problem = "lost words"         // words of a trained message that are not trained
	PromptTrained Problem = "prompt trained"     // a weight on a token that nobody should learn
	OtherText     Problem = "other text"         // the tokens do not spell the messages
	DuplicateKey  Problem = "duplicate key"      // a key that an earlier example has
	TooLong       Problem = "too long"           // longer than the trainer will take
	ForeignTokens Problem = "foreign tokens"     // made by another tokenizer or template
	NotAnExample  Problem = "not an example"     // a line that cannot be read
	Unrenderable  Problem = "cannot be rendered" // the template refuses the messages
	FirstTrained  Problem = "first token trained"
)

// Finding is a problem of one example.
type Finding struct {
	Row     int     `json:"row"` // from 1
	Key     string  `json:"key"`
	Problem Problem `json:"problem"`
	Detail  string  `json:"detail"`
}

func (f Finding) String() string {
	return fmt.Sprintf("row %d, example %q: %s: %s", f.Row, f.Key, f.Problem, f.Detail)
}

// Report is what an audit found.
type Report struct {
	Rows     int             `json:"rows"`
	Tokens   int             `json:"tokens"`
	Trained  int             `json:"trained"`
	Longest  int             `json:"longest"`  // tokens of the longest row
	Weighted int             `json:"weighted"` // rows with weights other than 0 and 1
	Respelt  int             `json:"respelt"`  // rows whose tokens spell the messages otherwise than the tokenizer would: generated ones may
	Repeated int             `json:"repeated"` // rows with the tokens and weights of an earlier one: no problem, but they count twice
	Problems map[Problem]int `json:"problems"` // rows that have each
	Findings []Finding       `json:"findings"` // the first of them
}

// OK tells whether the file may be trained on.
func (r Report) OK() bool { return len(r.Problems) == 0 }

// maxFindings bounds how many problems are told one by one; all are counted.
const maxFindings = 100

// ErrAudit: an audit found problems.
var ErrAudit = errors.New("these examples must not be trained on")

// AuditOptions say what else an audit looks at.
type AuditOptions struct {
	MaxTokens int                               // the trainer's limit; 0 = none
	Each      func(row int, e Example, ok bool) // sees every example that could be read; may be nil
}

// Audit looks at every example: are its tokens those of its messages, and does each trained
// message keep all its words and the end of its turn, and nothing else a weight? It needs the
// tokenizer and the template that made the tokens. A source that fails is a finding, and the
// last.
func Audit(ctx context.Context, t *local.Text, src Source, o AuditOptions) (Report, error) {
	r := Report{Problems: map[Problem]int{}, Findings: []Finding{}}
	keys, rows := keySet{}, keySet{}
	for e, err := range src {
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		r.Rows++
		if err != nil {
			problem := NotAnExample
			if errors.Is(err, ErrDuplicate) {
				problem = DuplicateKey
			} else if !errors.Is(err, ErrFormat) {
				return r, err
			}
			r.found(Finding{r.Rows, e.Key, problem, err.Error()})
			continue
		}
		r.Tokens += len(e.IDs)
		r.Trained += e.Trained()
		r.Longest = max(r.Longest, len(e.IDs))
		if !e.Uniform() {
			r.Weighted++
		}
		if _, used := rows.add(fmt.Sprint(e.IDs, e.Weights), r.Rows); used {
			r.Repeated++
		}
		problems, respelt := check(t, e)
		if respelt {
			r.Respelt++
		}
		if first, used := keys.add(e.Key, r.Rows); used {
			problems = append(problems, Finding{Problem: DuplicateKey, Detail: fmt.Sprintf("row %d has it too", first)})
		}
		if o.MaxTokens > 0 && len(e.IDs) > o.MaxTokens {
			problems = append(problems, Finding{Problem: TooLong, Detail: fmt.Sprintf("%d tokens, the trainer takes %d: it would cut or drop it", len(e.IDs), o.MaxTokens)})
		}
		for _, p := range problems {
			p.Row, p.Key = r.Rows, e.Key
			r.found(p)
		}
		if o.Each != nil {
			o.Each(r.Rows, e, len(problems) == 0)
		}
	}
	if r.Rows == 0 {
		r.found(Finding{Problem: NotAnExample, Detail: "there are no examples"})
	}
	return r, nil
}

func (r *Report) found(f Finding) {
	r.Problems[f.Problem]++
	if len(r.Findings) < maxFindings {
		r.Findings = append(r.Findings, f)
	}
}
