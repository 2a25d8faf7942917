package eval

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"

	"stargate"
	"stargate/eval/reply"
	"stargate/eval/stats"
	"stargate/lm"
)

// Rater tells how specific a task is, on the scale of PROTOCOL §7: 1 = general, the best
// answer depends on who asks; 6 = specific, one answer is best for everybody.
type Rater interface {
	// Rate gives a rating from 1 to 6; ok is false where the rater gives none.
	Rate(ctx context.Context, t stargate.Task) (rating int, ok bool, err error)
}

// general is the highest rating of a general task.
const general = 3

// Kinds of tasks.
const (
	General  = "general"
	Specific = "specific"
)

// TaskKinds splits the conditions and win rates by how specific the tasks are.
type TaskKinds struct {
	Ratings []TaskRating  `json:"ratings"` // by task, in the order of the split
	Rows    []TaskKindRow `json:"rows"`
}

// TaskRating is a rater's word on a task; 0 where it gave none.
type TaskRating struct {
	Task   string `json:"task"`
	Rating int    `json:"rating"`
}

// TaskKindRow is a mean over the pairs of one kind of task.
type TaskKindRow struct {
	Kind  string  `json:"kind"`
	Model string  `json:"model"`
	What  string  `json:"what"` // a condition, "qa/top1", "gap" or "win"
	Mean  float64 `json:"mean"`
	SEM   float64 `json:"sem"`
	Low   float64 `json:"low"` // 95 % interval, clustered
	High  float64 `json:"high"`
	N     int     `json:"n"`
}

// taskKinds asks the rater once for every task and adds the table.
func (e *Evaluation) taskKinds(ctx context.Context, in Input) error {
	if in.Rater == nil {
		return nil
	}
	var tasks []stargate.Task
	at := map[string]int{}
	for _, p := range in.Test.Pairs {
		if _, ok := at[p.Task.ID]; !ok {
			at[p.Task.ID] = len(tasks)
			tasks = append(tasks, p.Task)
		}
	}
	ratings := make([]int, len(tasks))
	err := in.each(ctx, "rate tasks", len(tasks), func(ctx context.Context, i int) error {
		r, ok, err := in.Rater.Rate(ctx, tasks[i])
		if err != nil {
			return fmt.Errorf("rate task %s: %w", tasks[i].ID, err)
		}
		if ok {
			ratings[i] = r
		}
		return nil
	})
	if err != nil {
		return err
	}
	k := &TaskKinds{Ratings: []TaskRating{}, Rows: []TaskKindRow{}}
	for i, t := range tasks {
		k.Ratings = append(k.Ratings, TaskRating{t.ID, ratings[i]})
	}
	for _, kind := range []string{General, Specific} {
		of := func(task string) bool {
			r := ratings[at[task]]
			return r > 0 && (r <= general) == (kind == General)
		}
		for _, model := range in.Models {
			for _, what := range []string{Negative, Positive, QExperimental, QExperimental + "/" + Top1, QRandom, OverRandom, PositiveExperiment, Wins} {
				if row, ok := e.kindRow(in, kind, model.Name, what, of); ok {
					k.Rows = append(k.Rows, row)
				}
			}
		}
	}
	e.Result.TaskKinds = k
	return nil
}

func (e *Evaluation) kindRow(in Input, kind, model, what string, of func(task string) bool) (TaskKindRow, bool) {
	c, ok := e.cell(model, what)
	if !ok {
		return TaskKindRow{}, false
	}
	var obs []stats.Observation
	for _, o := range c.observations(in, nil, 0) {
		if of(o.Task) {
			obs = append(obs, o)
		}
	}
	if len(obs) == 0 {
		return TaskKindRow{}, false
	}
	row := TaskKindRow{Kind: kind, Model: model, What: what}
	var est stats.Estimate
	if what == Wins {
		est, row.Low, row.High = stats.Share(obs)
	} else {
		est = stats.Mean(obs)
		row.Low, row.High = est.Interval()
	}
	row.Mean, row.SEM, row.N = est.Mean, est.SEM, est.N
	return row, true
}

//go:embed rater.tmpl
var raterTemplate string

// ModelRater lets a language model rate tasks.
type ModelRater struct {
	Model    lm.Generator
	Sampling lm.Sampling
	Template string // text/template with .Task; "" is the program's own
	Retries  int    // attempts after the first; 0 = 2, negative = none
}

// Chat is what the model is asked about a task.
func (r ModelRater) Chat(t stargate.Task) (lm.Chat, error) {
	text := r.Template
	if text == "" {
		text = raterTemplate
	}
	tmpl, err := template.New("rater").Option("missingkey=error").Parse(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("rater's template: %w", err)
	}
	var b bytes.Buffer
	if err := tmpl.Execute(&b, struct{ Task string }{t.Text}); err != nil {
		return nil, fmt.Errorf("rater's template: %w", err)
	}
	return lm.Chat{{Role: lm.User, Content: b.String()}}, nil
}

// Rate implements [Rater]. A refusal, or an answer without a rating after all attempts, is
// no rating.
func (r ModelRater) Rate(ctx context.Context, t stargate.Task) (int, bool, error) {
	chat, err := r.Chat(t)
	if err != nil {
		return 0, false, err
	}
	retries := r.Retries
	if retries == 0 {
		retries = 2
	}
	sampling := r.Sampling
	for attempt := range 1 + max(retries, 0) {
		out, err := r.Model.Generate(ctx, chat, sampling)
		switch {
		case errors.Is(err, lm.ErrRefused), errors.Is(err, lm.ErrContextLength):
		case err != nil:
			return 0, false, err
		default:
			if rating, ok := ParseRating(out.Text); ok {
				return rating, true, nil
			}
		}
		sampling.Temperature, sampling.Seed = max(sampling.Temperature, 0.7), r.Sampling.Seed+uint64(attempt)+1
	}
	return 0, false, nil
}

var (
	ratingLine  = regexp.MustCompile(`(?i)\b(?:rating|score)["'*_\x60]*\s*(?:is|of)?\s*[:=\-–]?\s*[\s"'*_\x60(\[]*([1-6])(?:\s*/\s*6)?(?:[^\d.,/]|[.,](?:\D|$)|$)`)
	ratingAlone = regexp.MustCompile(`^[\s"'*_\x60(\[]*([1-6])(?:\s*/\s*6)?[\s"'*_\x60)\].]*$`)
)

// ParseRating reads a rating from 1 to 6 out of a model's text: the last "Rating: N", or a
// text that is a number and nothing else.
func ParseRating(text string) (int, bool) {
	text = reply.Visible(text)
	if m := ratingAlone.FindStringSubmatch(text); m != nil {
		return int(m[1][0] - '0'), true
	}
	if all := ratingLine.FindAllStringSubmatch(text, -1); len(all) > 0 {
		return int(all[len(all)-1][1][0] - '0'), true
	}
	return 0, false
}
