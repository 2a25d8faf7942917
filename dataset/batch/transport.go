package batch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"stargate/ledger"
	"stargate/lm"
	"stargate/lm/remote"
)

// Errors callers branch on.
var (
	// ErrUnanswered: no batch has answered the request.
	ErrUnanswered = errors.New("no batch has answered this request")
	// errCollected tells a collecting caller that its request is noted.
	errCollected = errors.New("noted for a batch")
)

// Transport gives a driver (lm/remote) answers that batches brought. Until [Transport.Arm]
// it passes everything on to the live one, for the driver's probe. It is safe for concurrent
// use.
type Transport struct {
	live  remote.Transport
	box   box
	rest  bool // ask live what no batch has answered
	armed atomic.Bool
}

var _ remote.Transport = (*Transport)(nil)

// NewTransport makes one over live, with the answers of a ledger. With rest, what no batch
// has answered is asked live, at the live price; without, it fails with [ErrUnanswered].
func NewTransport(live remote.Transport, l *ledger.Ledger, rest bool) *Transport {
	return &Transport{live: live, box: box{l}, rest: rest}
}

// Arm ends the probe: from now on generations come from batches.
func (t *Transport) Arm() { t.armed.Store(true) }

// Driver is inner, which speaks through the transport, for all callers to use: it tells the
// transport which draw a request is. Not every API has a field for seeds.
func (t *Transport) Driver(inner lm.Generator) lm.Generator { return driver{inner} }

type driver struct{ inner lm.Generator }

type drawKey struct{}

// Generate implements [lm.Generator].
func (d driver) Generate(ctx context.Context, chat lm.Chat, s lm.Sampling) (lm.Completion, error) {
	return d.inner.Generate(context.WithValue(ctx, drawKey{}, s.Seed), chat, s)
}

// Get implements [remote.Transport].
func (t *Transport) Get(ctx context.Context, path string) ([]byte, http.Header, error) {
	return t.live.Get(ctx, path)
}

// Post implements [remote.Transport].
func (t *Transport) Post(ctx context.Context, path string, body []byte, load int) ([]byte, http.Header, error) {
	if !t.armed.Load() || !generates(path) {
		return t.live.Post(ctx, path, body, load)
	}
	draw, ok := ctx.Value(drawKey{}).(uint64)
	if !ok {
		return nil, nil, errors.New("batch: the driver is asked past Transport.Driver, so its draws cannot be told apart")
	}
	line := newLine(path, body, draw)
	a, found, err := t.box.answer(ctx, line.ID)
	if err != nil {
		return nil, nil, err
	}
	if found {
		if a.Status/100 != 2 {
			return nil, nil, &remote.StatusError{Method: http.MethodPost, URL: path, Status: a.Status, Body: a.Body[:min(len(a.Body), remote.MaxErrorBody)]}
		}
		return a.Body, http.Header{}, nil
	}
	if c, ok := ctx.Value(collectorKey{}).(*collector); ok {
		c.add(line, load)
		return nil, nil, errCollected
	}
	if t.rest {
		return t.live.Post(ctx, path, body, load)
	}
	return nil, nil, fmt.Errorf("%w (%.12s…): repeat the command to send it again", ErrUnanswered, line.ID)
}

func generates(path string) bool {
	return strings.HasSuffix(path, "/chat/completions") || strings.HasSuffix(path, "/completions") || strings.HasSuffix(path, "/messages")
}

type collectorKey struct{}

// collector takes the lines of requests that have no answer yet.
type collector struct {
	mu    sync.Mutex
	seen  map[string]bool
	lines []Line
	load  int // tokens at most, prompts and answers together
}

func (c *collector) add(l Line, load int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.seen[l.ID] {
		c.seen[l.ID] = true
		c.lines, c.load = append(c.lines, l), c.load+load
	}
}
