package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"stargate/lm"
	"stargate/lm/trainset"
	"stargate/trainer"
	"stargate/trainer/trainlog"
)

// Trainer fine-tunes with a program.
type Trainer struct {
	config   Config
	template *Template
	patterns []*regexp.Regexp
	launcher func() (launcher, error)
}

var _ trainer.Trainer = (*Trainer)(nil)

// New reads the template and checks the configuration.
func New(c Config) (*Trainer, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("command trainer: %w", err)
	}
	c = c.withDefaults()
	t, err := OpenTemplate(c.Template)
	if err != nil {
		return nil, err
	}
	patterns, err := trainlog.CompilePatterns(slices.Concat(c.LogPatterns, t.Log))
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrTemplate, c.Template, err)
	}
	launch := newProcesses
	if c.Slurm != nil {
		launch = func() (launcher, error) { return newJobs(*c.Slurm), nil }
	}
	return &Trainer{c, t, patterns, launch}, nil
}

// Mask says how the template carries the loss mask to the program.
func (t *Trainer) Mask() string { return t.template.Mask }

// session is one call of Train.
type session struct {
	*Trainer
	job      trainer.Job
	work     *trainer.Work
	launcher launcher
	fields   Fields
	parser   trainlog.Parser
	last     *attempt
}

// Train implements [trainer.Trainer]. It fails with an [AttemptError] when the last attempt
// did, with [ErrOutput] when the program left no model, and with [lm.ErrNonFinite] when its
// losses are no numbers.
func (t *Trainer) Train(ctx context.Context, job trainer.Job) (_ trainer.Result, err error) {
	if job.Set.Weighted() {
		return trainer.Result{}, fmt.Errorf("tune %s: %w", job.Name, trainer.ErrWeighted)
	}
	digest, err := t.template.digest()
	if err != nil {
		return trainer.Result{}, err
	}
	w, err := trainer.OpenWork(job, []any{"command", digest, t.config.Options, t.config.Precision})
	if err != nil {
		return trainer.Result{}, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if r, ok, err := w.Published(); ok || err != nil {
		return r, err
	}
	s := &session{Trainer: t, job: job, work: w, parser: trainlog.Parser{Patterns: t.patterns}}
	if s.launcher, err = t.launcher(); err != nil {
		return trainer.Result{}, err
	}
	if err := s.prepare(); err != nil {
		return trainer.Result{}, err
	}
	if err := s.attempts(ctx); err != nil {
		return trainer.Result{Log: s.log()}, err
	}
	r, err := s.finish()
	if errors.Is(err, ErrOutput) || errors.Is(err, lm.ErrNonFinite) {
		err = errors.Join(err, s.last.over())
	}
	return r, err
}

// The work directory, beside what the attempts add.
const (
	dataDir     = "data"
	trainFile   = "train.jsonl"
	heldOutFile = "test.jsonl" // a name that datasets.load_dataset takes for a test split
	keyedFile   = "keyed.jsonl"
)

// prepare writes the data and fills in what templates may use.
func (s *session) prepare() error {
	h := s.job.Hyper
	micro, passes, err := s.config.accumulation(h.BatchSize)
	if err != nil {
		return err
	}
	steps := s.job.Set.Steps(h)
	save := s.config.SaveEvery
	if save == 0 {
		save = max(1, steps/10)
	}
	s.fields = Fields{
		Name: s.job.Name, Base: s.job.Base, Work: s.work.Dir, Data: s.work.Path(dataDir), Train: s.work.Path(dataDir, trainFile), Keyed: s.work.Path(keyedFile),
		Output: s.work.Path(s.template.Output), Hyper: h, LoRA: h.LoRA, Steps: steps, WarmupSteps: int(math.Ceil(h.WarmupRatio * float64(steps))),
		Longest: s.job.Set.Longest(), Seed: uint32(h.Seed), SaveEvery: save, Processes: s.config.Processes, MicroBatch: micro, Accumulation: passes,
		BF16: s.config.Precision == "bf16",
	}
	if _, err := os.Stat(s.job.Base); err == nil {
		if s.fields.Base, err = filepath.Abs(s.job.Base); err != nil {
			return err
		}
	}
	s.parser.Total(steps)
	if err := os.MkdirAll(s.fields.Data, 0o755); err != nil {
		return err
	}
	if err := writeRows(s.fields.Train, trainset.WriteTokens, s.job.Set.Epoch(h.Seed, 0)); err != nil {
		return err
	}
	if err := writeRows(s.fields.Keyed, trainset.WriteKeyed, s.job.Set.Train); err != nil {
		return err
	}
	if len(s.job.Set.Held) == 0 {
		return nil
	}
	s.fields.HeldOut = s.work.Path(dataDir, heldOutFile)
	return writeRows(s.fields.HeldOut, trainset.WriteTokens, s.job.Set.Held)
}

// attempts starts the program until it ends well, or goes on watching one that an earlier
// process started.
func (s *session) attempts(ctx context.Context) error {
	before, err := allAttempts(s.work.Dir)
	if err != nil {
		return err
	}
	var last *attempt
	for i, a := range before {
		if last = a; i+1 < len(before) || a.launch.Over {
			if err := s.recall(a); err != nil {
				return err
			}
		}
	}
	for failures, pause := 0, s.config.Pause; ; pause *= 2 {
		a, err := s.next(ctx, last, failures)
		if err != nil {
			return err
		}
		failed, err := s.watch(ctx, a)
		if s.last = a; err != nil || failed == nil {
			return err
		}
		if err := a.over(); err != nil {
			return err
		}
		if a == last { // begun by a process that is gone: not one of this call's
			if failed.final() {
				failed.Attempt, failed.Of = 1, 1
				return failed
			}
			continue
		}
		failures++
		failed.Attempt, failed.Of = failures, 1+s.config.Retries
		if failures > s.config.Retries || failed.final() {
			return failed
		}
		s.job.Notify(trainer.Progress{Steps: s.fields.Steps, Note: fmt.Sprintf("attempt %d failed (%s), the next begins in %s", failures, failed.Detail, pause)})
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		last = a
	}
}

// recall reads the log of an attempt that is over.
func (s *session) recall(a *attempt) error {
	s.rewind(a)
	log := follower{path: a.path(logFile)}
	lines, _, err := log.lines(true)
	for _, line := range lines {
		s.parser.Line(line)
	}
	return err
}

// rewind tells the parser where an attempt begins. A program that finds its checkpoints itself
// says its steps itself.
func (s *session) rewind(a *attempt) {
	if !s.template.Resumes || s.template.Checkpoints != "" {
		s.parser.Resume(a.launch.Base)
	}
}

// next is the attempt to watch: the last one while it has not been looked at, or a new one.
func (s *session) next(ctx context.Context, last *attempt, failures int) (*attempt, error) {
	if last != nil && failures == 0 && !last.launch.Over {
		id, err := s.launcher.find(ctx, last)
		if err != nil {
			return nil, err
		}
		_, told, err := last.exit()
		if err != nil {
			return nil, err
		}
		if id != "" || told {
			if last.launch.ID == "" {
				last.launch.ID = id
				if err := last.record(); err != nil {
					return nil, err
				}
			}
			s.rewind(last)
			s.job.Notify(trainer.Progress{Steps: s.fields.Steps, Note: fmt.Sprintf("going on with attempt %d, %s", last.Number, s.name(last))})
			return last, nil
		}
	}
	a := &attempt{Number: 1}
	if last != nil {
		a.Number = last.Number + 1
	}
	a.Dir = s.work.Path(fmt.Sprintf("%s%02d", attemptDir, a.Number))
	if err := s.begin(ctx, a); err != nil {
		return nil, fmt.Errorf("attempt %d: %w", a.Number, err)
	}
	s.job.Notify(trainer.Progress{Steps: s.fields.Steps, Step: a.launch.Base, Note: "started as " + s.name(a)})
	return a, nil
}

func (s *session) name(a *attempt) string {
	if s.config.Slurm != nil {
		return "Slurm job " + a.launch.ID
	}
	return "process " + a.launch.ID
}

// begin renders the template, writes everything down, and starts the attempt.
func (s *session) begin(ctx context.Context, a *attempt) error {
	f := s.fields
	f.Attempt = a.Number
	if s.template.Resumes {
		var err error
		if f.Resume, a.launch.Base, err = s.checkpoint(); err != nil {
			return err
		}
	} else if err := os.RemoveAll(f.Output); err != nil {
		return err
	}
	r, err := s.template.Render(f, s.config.Options)
	if err != nil {
		return err
	}
	for name, text := range r.Files {
		if err := trainer.ReplaceFile(s.work.Path(name), []byte(text)); err != nil {
			return err
		}
	}
	env := maps.Clone(r.Env)
	maps.Copy(env, s.config.Env)
	in := s.config.Dir
	if in == "" {
		in = s.work.Dir
	}
	if in, err = filepath.Abs(in); err != nil {
		return err
	}
	if err := a.prepare(s.launcher, script{Name: s.job.Name, In: in, Env: env, Run: r.Run}); err != nil {
		return err
	}
	s.rewind(a)
	if a.launch.ID, err = s.launcher.start(ctx, a); err != nil {
		return err
	}
	return a.record()
}

// checkpoint is the last complete checkpoint in the output, and its step.
func (s *session) checkpoint() (dir string, step int, err error) {
	if s.template.Checkpoints == "" {
		return "", 0, nil
	}
	dirs, err := filepath.Glob(filepath.Join(s.fields.Output, s.template.Checkpoints))
	if err != nil {
		return "", 0, fmt.Errorf("%w: checkpoints: %w", ErrTemplate, err)
	}
	for _, d := range dirs {
		n, err := strconv.Atoi(number.FindString(filepath.Base(d)))
		if err != nil || n <= step {
			continue
		}
		// The state is what transformers writes last.
		if _, err := readState(filepath.Join(d, trainlog.StateFile)); err == nil {
			dir, step = d, n
		}
	}
	return dir, step, nil
}

var number = regexp.MustCompile(`\d+$`)

func readState(path string) (lm.TuneLog, error) {
	f, err := os.Open(path)
	if err != nil {
		return lm.TuneLog{}, err
	}
	defer f.Close()
	return trainlog.ReadState(f)
}

// watch follows an attempt to its end. failed is how it went wrong; err is what is wrong with
// watching, or that ctx is done.
func (s *session) watch(ctx context.Context, a *attempt) (failed *AttemptError, err error) {
	log := follower{path: a.path(logFile)}
	heard := time.Now()
	for {
		st, err := s.launcher.state(ctx, a)
		if err != nil && ctx.Err() == nil {
			return nil, fmt.Errorf("attempt %d: %w", a.Number, err)
		}
		lines, moved, err := log.lines(st.phase == ended)
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			s.tell(line)
		}
		if moved || st.phase != running {
			heard = time.Now()
		}
		switch {
		case ctx.Err() != nil:
			return nil, errors.Join(ctx.Err(), s.leave(ctx, a))
		case st.phase == ended:
			return s.ended(ctx, a, st, log.tail)
		case s.config.Stall > 0 && time.Since(heard) > s.config.Stall:
			if err := s.launcher.stop(ctx, a, s.config.Grace); err != nil {
				return nil, err
			}
			return &AttemptError{Code: -1, Detail: "ended after " + s.config.Stall.String() + " without a line", Log: log.path, Tail: log.tail, Err: ErrStalled}, nil
		}
		if err := sleep(ctx, s.launcher.poll()); err != nil {
			continue // to the case above
		}
	}
}

// tell feeds a line to the parser and the observer.
func (s *session) tell(line string) {
	e, ok := s.parser.Line(line)
	if !ok {
		return
	}
	p := trainer.Progress{Step: e.Step, Steps: s.fields.Steps}
	if e.Train != nil {
		p.Loss, p.LearningRate, p.GradNorm = e.Train.Loss, e.Train.LearningRate, e.Train.GradNorm
	} else if e.EvalLoss != nil {
		p.Note = fmt.Sprintf("held-out loss %.4f", *e.EvalLoss)
	}
	s.job.Notify(p)
}

// leave ends an attempt because the caller wishes so, or leaves a detached job alone.
func (s *session) leave(ctx context.Context, a *attempt) error {
	if s.config.Slurm != nil && s.config.Slurm.Detach {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*s.config.Grace+3*time.Minute)
	defer cancel()
	if err := s.launcher.stop(ctx, a, s.config.Grace); err != nil {
		return err
	}
	if _, told, err := a.exit(); told || err != nil {
		return err // it ended by itself: the next call looks at how
	}
	return a.over()
}

// ended looks at how an attempt ended, and ends what it may have left behind.
func (s *session) ended(ctx context.Context, a *attempt, st state, tail []string) (*AttemptError, error) {
	code, told, err := a.exit()
	if err != nil {
		return nil, err
	}
	if err := s.launcher.stop(ctx, a, s.config.Grace); err != nil {
		return nil, err
	}
	if told && code == 0 {
		return nil, nil
	}
	e := &AttemptError{Code: -1, Detail: st.detail, Log: a.path(logFile), Tail: tail}
	if told {
		e.Code, e.Detail = code, "exit status "+strconv.Itoa(code)
		if code > 128 && code < 128+65 { // what a shell says of a signal
			e.Detail += fmt.Sprintf(" (signal %d)", code-128)
		}
	}
	if e.Detail == "" {
		e.Detail = "it ended without a word"
	}
	return e, nil
}
