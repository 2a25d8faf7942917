package cluster

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"

	"stargate"
	"stargate/ledger"
	"stargate/ledger/shard"
	"stargate/lm"
	"stargate/lm/remote"
	"stargate/runner"
	"stargate/trainer"
)

// errStopping is why an activity ends whose worker was told to stop.
var errStopping = errors.New("the worker stops; another one goes on")

// finalErrors are failures that the next attempt, here or elsewhere, would only repeat. Their
// names are the types of the errors in the workflow's history.
var finalErrors = []struct {
	name string
	is   error
}{
	{"data", stargate.ErrData},
	{"nothing-selected", stargate.ErrNothingSelected},
	{"cannot-score", lm.ErrCannotScore},
	{"budget", remote.ErrBudget},
	{"quota", remote.ErrQuota},
	{"key", remote.ErrKey},
	{"unsupported", remote.ErrUnsupported},
	{"audit", remote.ErrAudit},
	{"nothing-to-train", trainer.ErrNothing},
	{"weighted", trainer.ErrWeighted},
	{"other-fine-tune", trainer.ErrOtherJob},
	{"ledger-conflict", ledger.ErrConflict},
	{"ledger-corrupt", ledger.ErrCorrupt},
	{"ledger-schema", ledger.ErrNewerSchema},
	{"tally", runner.ErrTally},
	{"disk-full", ledger.ErrDiskFull},
	{"store-full", shard.ErrFull},
}

// final is the name of a final failure.
func final(err error) (name string, ok bool) {
	for _, f := range finalErrors {
		if errors.Is(err, f.is) {
			return f.name, true
		}
	}
	return "", false
}

// outcome is what an activity tells Temporal about err. ctx is the activity's, from which the
// reason for an interruption is known.
func outcome(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		cause := context.Cause(ctx)
		if _, asked := errors.AsType[*temporal.CanceledError](cause); asked {
			return temporal.NewCanceledError()
		}
		// Nobody asked the activity to end: it is owed, and another attempt may begin at once.
		return temporal.NewApplicationErrorWithOptions(fmt.Sprintf("interrupted: %v", cause), "interrupted", temporal.ApplicationErrorOptions{})
	}
	name, isFinal := final(err)
	if !isFinal {
		name = "failed"
	}
	return temporal.NewApplicationErrorWithOptions(err.Error(), name, temporal.ApplicationErrorOptions{NonRetryable: isFinal})
}
