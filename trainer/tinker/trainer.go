package tinker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"stargate/lm"
	"stargate/trainer"
)

// Trainer fine-tunes low-rank adapters on a server.
type Trainer struct {
	config    Config
	heartbeat time.Duration
}

var _ trainer.Trainer = (*Trainer)(nil)

// New checks the configuration; the server is not asked yet.
func New(c Config) (*Trainer, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("tinker trainer: %w", err)
	}
	return &Trainer{c.withDefaults(), 10 * time.Second}, nil
}

// saved is what is written down of a training: enough to go on in another session.
type saved struct {
	Checkpoint string     `json:"checkpoint,omitempty"` // address of the weights after Log's last step
	Sampler    string     `json:"sampler,omitempty"`    // address of the finished adapter
	Measured   bool       `json:"measured"`             // Log has the held-out loss from before training
	Log        lm.TuneLog `json:"log"`
	Notes      []string   `json:"notes,omitempty"`
}

const savedFile = "progress.json"

// ErrNoAdapter: the job trains all weights.
var ErrNoAdapter = errors.New("a Tinker server trains adapters: give the hyperparameters a lora section")

// Train implements [trainer.Trainer]. The result is an adapter, downloaded; its Remote is the
// address the server samples it at.
func (t *Trainer) Train(ctx context.Context, job trainer.Job) (_ trainer.Result, err error) {
	lora, err := adapter(job.Hyper)
	if err != nil {
		return trainer.Result{}, err
	}
	w, err := trainer.OpenWork(job, []any{"tinker", t.config.Model})
	if err != nil {
		return trainer.Result{}, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if r, ok, err := w.Published(); ok || err != nil {
		return r, err
	}
	c, err := t.config.client()
	if err != nil {
		return trainer.Result{}, err
	}
	r := &run{Trainer: t, client: c, job: job, work: w, lora: lora}
	for lost := 0; ; lost++ {
		if err := r.restore(); err != nil {
			return trainer.Result{}, err
		}
		if r.saved.Sampler != "" {
			break
		}
		if lost > 0 {
			job.Notify(trainer.Progress{Step: len(r.saved.Log.Steps), Steps: job.Set.Steps(job.Hyper), Note: fmt.Sprintf("the server lost something (%v): back to step %d", err, len(r.saved.Log.Steps))})
		}
		if err = r.session(ctx); err != nil && (!errors.Is(err, errLost) || lost >= t.config.Retries || ctx.Err() != nil) {
			return trainer.Result{Log: r.saved.Log}, fmt.Errorf("tinker server %s: %w", t.config.URL, err)
		}
	}
	result, err := r.fetch(ctx)
	if err != nil {
		return trainer.Result{Log: r.saved.Log}, fmt.Errorf("tinker server %s: %w", t.config.URL, err)
	}
	return result, nil
}

// The modules that the protocol's two switches stand for.
var (
	attention   = []string{"k_proj", "o_proj", "q_proj", "v_proj"}
	feedForward = []string{"down_proj", "gate_proj", "up_proj"}
)

// adapter is what to ask for. The protocol can name all of attention and all of the feed-forward
// network, no single projection.
func adapter(h lm.Hyper) (loraConfig, error) {
	if h.LoRA == nil {
		return loraConfig{}, ErrNoAdapter
	}
	if h.LoRA.Dropout > 0 {
		return loraConfig{}, fmt.Errorf("lora.dropout is %g; the protocol has none", h.LoRA.Dropout)
	}
	c := loraConfig{Rank: h.LoRA.Rank, Seed: h.Seed & math.MaxInt32}
	targets := slices.Compact(slices.Sorted(slices.Values(h.LoRA.Targets)))
	contains := func(all []string) bool {
		return !slices.ContainsFunc(all, func(m string) bool { return !slices.Contains(targets, m) })
	}
	c.TrainAttn, c.TrainMLP = contains(attention), contains(feedForward)
	named := 0
	if c.TrainAttn {
		named += len(attention)
	}
	if c.TrainMLP {
		named += len(feedForward)
	}
	switch {
	case len(targets) == 0:
		c.TrainAttn, c.TrainMLP = true, true
	case named != len(targets):
		return c, fmt.Errorf("lora.target_modules are %s; the protocol knows none, or all of %s, or all of %s, or both", strings.Join(targets, ", "), strings.Join(attention, ", "), strings.Join(feedForward, ", "))
	}
	return c, nil
}

// run is one call of Train.
type run struct {
	*Trainer
	*client
	job   trainer.Job
	work  *trainer.Work
	lora  loraConfig
	saved saved

	// Of the session:
	id       string
	models   int // made so far
	model    string
	seq      int    // of the model's last request
	again    repeat // whether the server recognises a request sent twice
	forwards bool   // whether it has the route forward
}

// restore goes back to what was written down. Notes are kept: they are about the server.
func (r *run) restore() error {
	notes := r.saved.Notes
	r.saved = saved{}
	if _, err := r.work.Read(savedFile, &r.saved); err != nil {
		return err
	}
	for _, n := range notes {
		r.note(n)
	}
	return nil
}

// session trains from where saved is to the end, in a session of its own.
func (r *run) session(ctx context.Context) error {
	if err := r.check(ctx); err != nil {
		return err
	}
	var a sessionAnswer
	if err := r.post(ctx, "create_session", sessionRequest{Tags: []string{"stargate"}, Metadata: map[string]any{"name": r.job.Name}, SDKVersion: "0.24.0", Type: "create_session"}, &a, harmless); err != nil {
		return err
	}
	if a.Error != "" {
		return fmt.Errorf("create_session: %w: %s", ErrFailed, a.Error)
	}
	r.id, r.models = a.SessionID, 0
	ctx, stop := r.beat(ctx)
	defer stop()
	err := r.train(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// check asks whether the server has the base model, if it has the route.
func (r *run) check(ctx context.Context) error {
	var has capabilities
	switch err := r.ask(ctx, "GET", "get_server_capabilities", nil, &has, harmless); {
	case errors.Is(err, ErrMissing):
		return nil
	case err != nil:
		return err
	}
	var names []string
	for _, m := range has.Models {
		names = append(names, m.Name)
	}
	if len(names) > 0 && !slices.Contains(names, r.config.Model) {
		return fmt.Errorf("%w: the model %q; it has %s", ErrMissing, r.config.Model, strings.Join(names, ", "))
	}
	return nil
}

// beat keeps the session alive until stop is called. A server that stops knowing the session
// ends the context that it returns.
func (r *run) beat(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(r.heartbeat)
		defer tick.Stop()
		known := false
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			err := r.post(ctx, "session_heartbeat", heartbeatRequest{r.id, "session_heartbeat"}, nil, harmless)
			switch {
			case err == nil:
				known = true
			case errors.Is(err, ErrMissing) && !known:
				return // a server without heartbeats
			case errors.Is(err, ErrMissing):
				cancel(fmt.Errorf("%w: the session has ended", errLost))
				return
			case ctx.Err() == nil:
				cancel(fmt.Errorf("session heartbeat: %w", err))
				return
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
	}
}

func (r *run) train(ctx context.Context) error {
	if err := r.afford(ctx); err != nil {
		return err
	}
	if r.saved.Checkpoint == "" {
		note, err := r.reduction(ctx)
		if err != nil {
			return err
		}
		r.note(note)
	}
	if err := r.create(ctx); err != nil {
		return fmt.Errorf("create_model: %w", err)
	}
	if r.saved.Checkpoint != "" {
		if err := r.load(ctx); err != nil {
			return fmt.Errorf("load_weights: %w", err)
		}
	}
	if err := r.probe(ctx); err != nil {
		return fmt.Errorf("forward: %w", err)
	}
	log := r.job.Set.Log()
	if r.saved.Measured {
		log.EvalLossBase, log.Steps = r.saved.Log.EvalLossBase, r.saved.Log.Steps
	} else {
		var err error
		if log.EvalLossBase, err = r.heldOut(ctx); err != nil {
			return fmt.Errorf("held-out loss: %w", err)
		}
	}
	r.saved.Measured, r.saved.Log = true, log
	if err := r.steps(ctx); err != nil {
		return err
	}
	var err error
	if r.saved.Log.EvalLoss, err = r.heldOut(ctx); err != nil {
		return fmt.Errorf("held-out loss: %w", err)
	}
	if r.saved.Sampler, err = r.save(ctx, "save_weights_for_sampler", r.name("final")); err != nil {
		return err
	}
	return r.work.Write(savedFile, r.saved)
}

// create makes a fresh model of the base.
func (r *run) create(ctx context.Context) error {
	r.models++
	r.model, r.seq = "", 0
	var f future
	if err := r.post(ctx, "create_model", modelRequest{SessionID: r.id, ModelSeqID: r.models, BaseModel: r.config.Model, LoRA: r.lora, Metadata: map[string]any{"name": r.job.Name}, Type: "create_model"}, &f, harmless); err != nil {
		return err
	}
	var made future
	if err := r.result(ctx, f, &made); err != nil {
		return err
	}
	if r.model = made.ModelID; r.model == "" {
		r.model = f.ModelID
	}
	if r.model == "" {
		return errors.New("the server did not say the model's id")
	}
	return nil
}

func (r *run) next() int { r.seq++; return r.seq }

// send asks for something to be done with the model.
func (r *run) send(ctx context.Context, route string, body any, again repeat) (future, error) {
	var f future
	err := r.post(ctx, route, body, &f, again)
	if errors.Is(err, ErrMissing) {
		err = fmt.Errorf("%w: the server does not know the model any more (%w)", errLost, err)
	}
	return f, err
}

// load brings a fresh model to the checkpoint. Without the checkpoint training begins again.
func (r *run) load(ctx context.Context) error {
	var f future
	err := r.post(ctx, "load_weights", loadRequest{r.model, r.saved.Checkpoint, true, r.next(), "load_weights"}, &f, harmful)
	if err == nil {
		err = r.result(ctx, f, nil)
	}
	if errors.Is(err, ErrMissing) || errors.Is(err, ErrFailed) {
		gone := r.saved.Checkpoint
		r.saved = saved{Notes: r.saved.Notes}
		return errors.Join(fmt.Errorf("%w: the checkpoint %s cannot be loaded (%w), so training begins again", errLost, gone, err), r.work.Write(savedFile, r.saved))
	}
	return err
}

// probe finds out whether the server has the route forward, and whether it takes a request that
// comes twice for one.
func (r *run) probe(ctx context.Context) error {
	d, err := newDatum(r.job.Set.Train[0], 1)
	if err != nil {
		return err
	}
	r.again = harmful
	if err := r.pay(ctx, []datum{d}); err != nil {
		return err
	}
	question := forwardRequest{r.model, lossRequest{[]datum{d}, "cross_entropy"}, r.next()}
	var one, two future
	switch err := r.post(ctx, "forward", question, &one, harmless); {
	case errors.Is(err, ErrMissing):
		r.seq-- // it was not taken
		if len(r.job.Set.Held) > 0 {
			r.note("The server has no route forward, so the loss on held-out rows is not known.")
		}
		return nil
	case err != nil:
		return err
	}
	if err := r.result(ctx, one, nil); err != nil {
		return err
	}
	r.forwards = true
	if err := r.post(ctx, "forward", question, &two, harmless); err != nil {
		return err
	}
	if one.RequestID == two.RequestID {
		r.again = harmless
		return nil
	}
	return errors.Join(r.pay(ctx, []datum{d}), r.result(ctx, two, nil))
}
