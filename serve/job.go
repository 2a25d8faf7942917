package serve

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"stargate/lm"
	"stargate/lm/local"
)

// job is one prompt of a request with what is wanted of it.
type job struct {
	model  *local.Model
	prompt []int32
	text   string // of the prompt, for echo

	draw     bool          // false: no token is wanted
	request  local.Request // of the first choice, without prompt
	scored   bool          // log-probabilities of the prompt are wanted
	topScore int           // with so many alternatives

	score   []local.Drawn // about prompt[1:]
	results []local.Continuation
}

// eventPause is the least time between two events of a streamed completion: nobody reads
// faster, and each event costs as much as a small model's token.
const eventPause = 30 * time.Millisecond

// newJob makes the job of a prompt with n choices and checks that it fits.
func (s *Server) newJob(m *local.Model, prompt []int32, n int, field string) (*job, error) {
	j := &job{model: m, prompt: prompt, draw: true, results: make([]local.Continuation, n)}
	if len(prompt) == 0 {
		return nil, invalid(field, "the prompt has no tokens")
	}
	for i, id := range prompt {
		if id < 0 || int(id) >= m.Config().VocabSize {
			return nil, invalid(field, "token %d of the prompt is %d, the vocabulary has ids from 0 to %d", i, id, m.Config().VocabSize-1)
		}
	}
	return j, nil
}

// fit checks that prompt and completion fit the context; most is the tokens asked for, nil
// for as many as fit.
func (j *job) fit(most *int, field string) error {
	room, want := j.model.Room(), 1
	switch {
	case most != nil:
		want = *most
	case !j.draw:
		want = 0
	}
	if len(j.prompt)+want > room {
		return &failure{status: http.StatusBadRequest, param: field, code: "context_length_exceeded", message: fmt.Sprintf(
			"this model's context is %d tokens; the prompt has %d and %d are to follow: shorten the prompt or ask for fewer", room, len(j.prompt), want)}
	}
	return nil
}

// run does the work of all jobs at once. each sees the completions grow, one call at a
// time; before its first call for a job, begin is called for it, with the prompt scored.
// The first error ends all.
func run(ctx context.Context, jobs []*job, begin func(job int) error, each func(job, choice int, p local.Piece) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var told sync.Mutex
	tell := func(fn func() error) {
		told.Lock()
		defer told.Unlock()
		if ctx.Err() == nil {
			if err := fn(); err != nil {
				stop(err)
			}
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	for i, j := range jobs {
		g.Go(func() error {
			var err error
			if j.scored {
				if j.score, err = j.model.PromptLogProbs(ctx, j.prompt, j.topScore); err != nil {
					return err
				}
			}
			if begin != nil {
				tell(func() error { return begin(i) })
			}
			if !j.draw {
				for c := range j.results {
					j.results[c].Finish = lm.FinishLength
				}
				return nil
			}
			choices, ctx := errgroup.WithContext(ctx)
			for c := range j.results {
				choices.Go(func() error {
					r := j.request
					r.Prompt = j.prompt
					r.Sampling.Seed = choiceSeed(r.Sampling.Seed, c)
					if each != nil {
						r.Pause = eventPause
						r.Each = func(p local.Piece) { tell(func() error { return each(i, c, p) }) }
					}
					var err error
					j.results[c], err = j.model.Continue(ctx, r)
					return err
				})
			}
			return choices.Wait()
		})
	}
	return g.Wait()
}
