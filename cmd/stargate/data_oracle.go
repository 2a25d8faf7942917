package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"

	"stargate/dataset/batch"
	"stargate/dataset/build"
	"stargate/ledger"
	"stargate/lm"
	"stargate/lm/remote"
	"stargate/lm/remote/fleet"
	"stargate/runner"
)

// oracleFlags say which model builds data: one on this machine, or one behind HTTP.
type oracleFlags struct {
	role     remote.Role
	file     string // of roles
	name     string // of the role in it
	price    string
	batch    bool
	poll     remote.Duration
	limits   remote.Limits
	prompts  string
	prepared bool
}

func (o *oracleFlags) register(f *pflag.FlagSet) {
	f.StringVar(&o.role.Model, "model", "", "model: with --url its name there, else a Hugging Face directory or ORG/NAME that was pulled (default the built-in model)")
	f.StringVar(&o.role.URL, "url", "", "address of a model server or API")
	f.StringVar((*string)(&o.role.API), "api", "", "protocol of the server: openai (default) or anthropic")
	f.StringVar(&o.role.APIKeyEnv, "api-key-env", "", "environment variable with the server's key")
	f.StringVar(&o.file, "role-file", "", "YAML file of roles, instead of --url")
	f.StringVar(&o.name, "role", "oracle", "role of that file")
	f.StringVar(&o.price, "price", "", "money per million tokens, prompt and answer, such as 2.5,10")
	f.IntVar(&o.role.Concurrency, "concurrency", 0, "most requests in flight (default: what the server takes; golds at most 256, personas 16)")
	f.BoolVar(&o.batch, "batch", false, "use the server's batch API: half the price, within a day")
	f.TextVar(&o.poll, "batch-poll", remote.Duration(15*time.Second), "first pause between looks at a batch")
	f.Var((*costLimit)(&o.limits.Cost), "max-cost", "most money this command may spend, in the currency of the prices (default no limit)")
	f.Int64Var(&o.limits.Tokens, "max-spend-tokens", 0, "most tokens, prompts and answers together (default no limit)")
	f.StringVar(&o.prompts, "prompts", "", "directory of templates that replace the default ones, file by file")
}

// batchDiscount is what the batch APIs of OpenAI and Anthropic take off the price.
const batchDiscount = 0.5

// oracle is an open model whose answers are kept in a data directory's ledger.
type oracle struct {
	lm.Generator // journaled
	ledger       *ledger.Ledger
	role         string // in the ledger
	digest       string
	price        remote.Price
	made         meter
	before       ledger.Totals // what earlier commands had paid for
	ahead        build.Ahead
	batches      atomic.Pointer[batch.Progress]
	close        []func() error
}

// open opens the model for what a command builds ("persona", "gold").
func (o *oracleFlags) open(ctx context.Context, d build.Directory, what string, log *slog.Logger) (_ *oracle, err error) {
	if err := o.resolve(); err != nil {
		return nil, err
	}
	if err := d.Make(); err != nil {
		return nil, err
	}
	p := &oracle{role: what, price: o.role.Price}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	// All answers have content keys: one ledger serves everything that is ever built here.
	if p.ledger, err = ledger.Open(d.Path(build.LedgerFile), ledger.Identity{Name: "data", Digest: "stargate data 1"}); err != nil {
		return nil, err
	}
	p.close = append(p.close, p.ledger.Close)
	if o.batch {
		p.role += " (batch)"
		p.price = remote.Price{Input: p.price.Input * batchDiscount, Output: p.price.Output * batchDiscount}
	}
	if p.before, err = p.totals(ctx); err != nil {
		return nil, err
	}
	model, err := o.driver(ctx, p, log)
	if err != nil {
		return nil, err
	}
	p.made.inner = model
	p.Generator = p.ledger.Generator(p.role, p.digest, &p.made)
	return p, nil
}

// resolve reads the role's file and the price, and checks the flags.
func (o *oracleFlags) resolve() error {
	if o.prepared {
		return nil
	}
	o.prepared = true
	if o.file != "" {
		if o.role.URL != "" || o.role.Model != "" {
			return fmt.Errorf("%w: --role-file says which model it is; leave out --url and --model", errUsage)
		}
		data, err := os.ReadFile(o.file)
		if err != nil {
			return err
		}
		roles := map[string]remote.Role{}
		if err := yaml.Load(data, &roles, yaml.WithKnownFields()); err != nil {
			return fmt.Errorf("%s: %w", o.file, err)
		}
		r, ok := roles[o.name]
		if !ok {
			return fmt.Errorf("%w: %s has no role %q", errUsage, o.file, o.name)
		}
		o.role = r
	}
	if o.price != "" {
		in, out, ok := strings.Cut(o.price, ",")
		var errIn, errOut error
		o.role.Price.Input, errIn = strconv.ParseFloat(in, 64)
		o.role.Price.Output, errOut = strconv.ParseFloat(out, 64)
		if !ok || errIn != nil || errOut != nil || o.role.Price.Input < 0 || o.role.Price.Output < 0 {
			return fmt.Errorf("%w: --price %q: want money per million tokens of prompts and answers, such as 2.5,10", errUsage, o.price)
		}
	}
	switch local := o.role.URL == "" && len(o.role.URLs) == 0; {
	case local && o.batch:
		return fmt.Errorf("%w: --batch needs a server: give --url or --role-file", errUsage)
	case o.limits.Cost > 0 && o.role.Price == (remote.Price{}):
		return fmt.Errorf("%w: --max-cost needs a price: give --price, or price in the role's file", errUsage)
	case !local:
		if err := o.role.Validate(); err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
	}
	return nil
}

// driver opens the model itself. It is the one place where roles become models here.
func (o *oracleFlags) driver(ctx context.Context, p *oracle, log *slog.Logger) (lm.Generator, error) {
	if o.role.URL == "" && len(o.role.URLs) == 0 {
		dir, err := modelDir(o.role.Model)
		if err != nil {
			return nil, err
		}
		m, err := runner.OpenModel(dir, 0)
		if err != nil {
			return nil, err
		}
		p.close = append(p.close, func() error { m.Close(); return nil })
		p.digest = m.Digest()
		return m, nil
	}
	account := remote.NewBudget(o.limits).Account(p.role, p.price)
	account.Add(remote.Spend{Calls: p.before.Made, TokensIn: p.before.TokensIn, TokensOut: p.before.TokensOut})
	settings, err := o.role.Fleet(p.role, os.Getenv)
	if err != nil {
		return nil, err
	}
	live, err := fleet.New(settings)
	if err != nil {
		return nil, err
	}
	p.close = append(p.close, func() error { live.Close(); return nil })
	if !o.batch {
		client, err := remote.Open(ctx, o.role, remote.Options{Transport: live, Account: account, Log: log})
		if err != nil {
			return nil, err
		}
		p.digest = client.Digest()
		return client, nil
	}
	mail := batch.NewTransport(live, p.ledger, false)
	client, err := remote.Open(ctx, o.role, remote.Options{Transport: mail, Account: account, Log: log})
	if err != nil {
		return nil, err
	}
	mail.Arm()
	p.digest = client.Digest()
	provider, err := batch.OpenAI(o.role, os.Getenv)
	if o.role.API == remote.Anthropic {
		provider, err = batch.Anthropic(o.role, os.Getenv)
	}
	if err != nil {
		return nil, err
	}
	model := mail.Driver(client)
	filler := batch.NewFiller(model, provider, p.ledger, batch.Options{Poll: time.Duration(o.poll), Observe: func(b batch.Progress) { p.batches.Store(&b) }, Log: log})
	p.ahead = func(ctx context.Context, asks []build.Ask) error { return p.fill(ctx, filler, account, asks) }
	return model, nil
}

// fill answers by batch what the ledger does not hold. The whole batch is reserved in the
// budget before it is sent: a batch cannot be stopped in the middle of its costs.
func (p *oracle) fill(ctx context.Context, filler *batch.Filler, account *remote.Account, asks []build.Ask) error {
	var questions []batch.Question
	in, out := 0, 0
	for _, a := range asks {
		settled, err := p.ledger.Settled(ledger.GenerateKey(p.digest, a.Chat, a.Sampling))
		if err != nil {
			return err
		}
		if settled {
			continue
		}
		questions = append(questions, batch.Question{Chat: a.Chat, Sampling: a.Sampling})
		for _, m := range a.Chat {
			in += len(m.Content)/batchBytesPerToken + 16
		}
		out += a.Sampling.MaxTokens
	}
	if len(questions) == 0 {
		return nil
	}
	hold, err := account.Reserve(ctx, in, out)
	if err != nil {
		return fmt.Errorf("a batch of %d requests: %w", len(questions), err)
	}
	hold.Release() // what the answers cost is settled when they are read
	err = filler.Fill(ctx, questions)
	p.batches.Store(nil)
	return err
}

// batchBytesPerToken is a cautious guess for English text in common vocabularies, where four
// and more are usual.
const batchBytesPerToken = 3

// totals is what the role has cost according to the ledger.
func (p *oracle) totals(ctx context.Context) (ledger.Totals, error) {
	all, err := p.ledger.Totals(ctx)
	if err != nil {
		return ledger.Totals{}, err
	}
	for _, t := range all {
		if t.Role == p.role {
			return t, nil
		}
	}
	return ledger.Totals{Role: p.role}, nil
}

// spent is what the role has cost so far, earlier commands included.
func (p *oracle) spent() remote.Spend {
	return remote.Spend{Calls: p.before.Made + p.made.calls.Load(), TokensIn: p.before.TokensIn + p.made.in.Load(), TokensOut: p.before.TokensOut + p.made.out.Load()}
}

func (p *oracle) cost() float64 {
	s := p.spent()
	return p.price.Cost(s.TokensIn, s.TokensOut)
}

// Close closes the model and the ledger, last opened first.
func (p *oracle) Close() error {
	var errs []error
	for i := len(p.close) - 1; i >= 0; i-- {
		errs = append(errs, p.close[i]())
	}
	p.close = nil
	return errors.Join(errs...)
}

// meter counts the calls that are really made: it stands behind the journal.
type meter struct {
	inner          lm.Generator
	calls, in, out atomic.Int64
}

// Generate implements [lm.Generator].
func (m *meter) Generate(ctx context.Context, chat lm.Chat, s lm.Sampling) (lm.Completion, error) {
	c, err := m.inner.Generate(ctx, chat, s)
	if err == nil {
		m.calls.Add(1)
		m.in.Add(int64(c.Usage.PromptTokens))
		m.out.Add(int64(c.Usage.CompletionTokens))
	}
	return c, err
}

// isThere tells whether a file exists.
func isThere(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
