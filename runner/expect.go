package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"stargate/ledger"
	"stargate/lm/remote"
	"stargate/plan"
	"stargate/report"
)

// Expectation is what a run on servers is likely to take, told before it is begun.
type Expectation struct {
	Forecast *plan.Forecast // with assumed lengths
	Limits   remote.Limits
	Spent    map[string]plan.Spent // by role, of earlier sessions
	floor    *plan.Forecast        // with texts of one token: it cannot take less
}

// ErrTooLittle: the limits cannot pay for the first stage of a run. Nothing is spent.
var ErrTooLittle = errors.New("the budget is too small to begin with")

// usualLengths are assumed before a run begins.
var usualLengths = plan.PaperLengths()

// usualGold is how long a gold response is taken to be, in tokens: the paper's, about.
const usualGold = 180

// Expect forecasts a run that spends something on servers. It asks nobody and opens no model.
// It is nil where no server plays a role, and where the run is finished already.
func Expect(ctx context.Context, o Options) (*Expectation, error) {
	e, err := o.experiment()
	if err != nil {
		return nil, err
	}
	dir := o.directory(e)
	if _, err := os.Stat(filepath.Join(dir, report.ResultFile)); err == nil || !e.onServers() {
		return nil, nil
	}
	x := &Expectation{Limits: o.limits(e)}
	quick := ForecastOptions{Options: o, Lengths: usualLengths, Gold: usualGold}
	if quick.Characters, err = charactersOf(e, o.Source.ModelDir); err != nil {
		return nil, err
	}
	if x.Forecast, err = Forecast(ctx, quick); err != nil {
		return nil, err
	}
	if x.Limits != (remote.Limits{}) {
		least := quick
		least.Lengths, least.Gold, least.least = plan.Lengths{Question: 1, Answer: 1, Response: 1, Judge: 1}, 1, true
		if least.Characters == usualCharacters { // only a guess: be sure not to say too much
			least.Characters *= 2
		}
		if x.floor, err = Forecast(ctx, least); err != nil {
			return nil, err
		}
	}
	x.Spent, err = spentIn(ctx, filepath.Join(dir, ledgerFile))
	return x, err
}

// onServers tells whether any server plays a role, or trains.
func (e Experiment) onServers() bool {
	if e.Trainer.Tinker != nil {
		return true
	}
	for _, role := range []string{plan.Questioner, plan.Scorer, plan.Roleplayer, plan.Evaluator, plan.Judge, plan.Oracle} {
		if _, ok := e.terms(role); ok {
			return true
		}
	}
	return false
}

// charactersOf is how many characters a token of the questioner's tokenizer has in its own
// words: counting every prompt of a large run takes minutes.
func charactersOf(e Experiment, modelDir string) (float64, error) {
	if q := e.Roles.Questioner; q != nil && q.isRemote() && q.Tokenizer == "" {
		return usualCharacters, nil
	}
	count, err := counter(e.Roles.Questioner, modelDir, 0)
	if err != nil {
		return 0, err
	}
	const text = "Help me plan a dinner for my friends. Which kitchen do you like best, and is there anything that you cannot eat? "
	return float64(len(text)) / float64(max(1, count.Text(text))), nil
}

func spentIn(ctx context.Context, path string) (map[string]plan.Spent, error) {
	r, err := ledger.OpenReader(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer r.Close() // only read
	totals, err := r.Totals(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]plan.Spent{}
	for _, t := range totals {
		out[t.Role] = plan.Spent{Calls: t.Made, TokensIn: t.TokensIn, TokensOut: t.TokensOut}
	}
	err = eachPayment(ctx, r, "", func(p payment) {
		s := out[p.Role]
		out[p.Role] = plan.Spent{Calls: s.Calls + 1, TokensIn: s.TokensIn + int64(p.Tokens)}
	})
	return out, err
}

// Err is [ErrTooLittle] if the limits cannot even pay for the first stage, however short the
// models are.
func (x *Expectation) Err() error {
	if x.floor == nil {
		return nil
	}
	end, ends := x.floor.EndsIn(x.Limits)
	if !ends || !end.First {
		return nil
	}
	return fmt.Errorf("%w: %s takes %s at the very least, and the limit is %s; raise it, or make the run smaller (data: sizes; algorithm: samples, max_turns)",
		ErrTooLittle, end.Stage, amount(end.Tokens, end.Cost, x.Limits), limit(x.Limits))
}

// Warning says where the limits will end the run, if they will, in a sentence.
func (x *Expectation) Warning() string {
	end, ends := x.Forecast.EndsIn(x.Limits)
	if !ends {
		return ""
	}
	tokens, cost := x.Forecast.Paid()
	return fmt.Sprintf("the limit of %s is likely to end the run in %q, after about %.0f %% of that stage: all of it takes about %s. What is finished then is kept; the same command with a higher limit goes on.",
		limit(x.Limits), end.Stage, 100*end.Done, amount(tokens, cost, x.Limits))
}

// limit says what the limits are.
func limit(l remote.Limits) string {
	var parts []string
	if l.Cost > 0 {
		parts = append(parts, fmt.Sprintf("%.4g in money", l.Cost))
	}
	if l.Tokens > 0 {
		parts = append(parts, fmt.Sprintf("%d tokens", l.Tokens))
	}
	return strings.Join(parts, " and ")
}

// amount says how much of what the limits are about something takes.
func amount(tokens int64, cost float64, l remote.Limits) string {
	var parts []string
	if l.Cost > 0 {
		parts = append(parts, fmt.Sprintf("%.4g in money", cost))
	}
	if l.Tokens > 0 {
		parts = append(parts, fmt.Sprintf("%d tokens", tokens))
	}
	return strings.Join(parts, " and ")
}
