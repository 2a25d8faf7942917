package ledger

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
)

// Span names the span of a trace in which a call was made, in OpenTelemetry's bytes (W3C
// Trace Context, https://www.w3.org/TR/trace-context/).
type Span struct {
	Trace [16]byte
	ID    [8]byte
}

// String is the span as the header traceparent has it: the trace, a hyphen, the span, in
// hexadecimal.
func (s Span) String() string {
	return hex.EncodeToString(s.Trace[:]) + "-" + hex.EncodeToString(s.ID[:])
}

type spanInContext struct{}

// InSpan is a context under which the ledger remembers that s made its call. A [Watcher] puts
// it into what it returns for calls that are traced, and for those alone: a row for each of
// 10⁹ calls is what sampling is for.
func InSpan(ctx context.Context, s Span) context.Context {
	return context.WithValue(ctx, spanInContext{}, s)
}

// traced has the span of ctx, if there is one, written in the transaction of o.
func traced(ctx context.Context, o *write) *write {
	span, ok := ctx.Value(spanInContext{}).(Span)
	if !ok {
		return o
	}
	other := o.do
	o.do = func(ctx context.Context, x executor, source int64) error {
		_, err := x.ExecContext(ctx, "INSERT INTO trace (key, trace, span) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", o.key[:], span.Trace[:], span.ID[:])
		if err != nil || other == nil {
			return err
		}
		return other(ctx, x, source)
	}
	return o
}

// traces are copied, and not compared: see the table.
var traces = part{"trace", "SELECT key, trace, span FROM trace ORDER BY key, trace, span", nil}

// Spans are those that made the call of this key or tried to, in the order of their bytes;
// none where nobody traced. A span of a replayed call is not among them: it has the key as an
// attribute.
func (r *Reader) Spans(ctx context.Context, key Key) (list []Span, err error) {
	err = r.eachRow(ctx, "read spans", func() (*sql.Rows, error) {
		list = nil
		return r.db.QueryContext(ctx, "SELECT trace, span FROM trace WHERE key = $1 ORDER BY trace, span", key[:])
	}, func(rows *sql.Rows) error {
		var trace, id []byte
		if err := rows.Scan(&trace, &id); err != nil {
			return err
		}
		var s Span
		if copy(s.Trace[:], trace) != len(trace) || copy(s.ID[:], id) != len(id) {
			return fmt.Errorf("spans of call %s: %w", key, ErrCorrupt)
		}
		list = append(list, s)
		return nil
	})
	return list, err
}
