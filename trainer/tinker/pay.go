package tinker

import (
	"context"
	"fmt"

	"stargate/lm/trainset"
)

// Tinker is paid by the token that a model is given, whether to train on or to measure a loss.
// What is sent again because its answer was lost is the same request, and paid once; what is
// trained again after going back to a checkpoint is paid again.

// pay has the job's purse pay for data before they are sent.
func (r *run) pay(ctx context.Context, data []datum) error {
	if r.job.Purse == nil {
		return nil
	}
	n := 0
	for _, d := range data {
		n += len(d.Inputs.Targets.Data)
	}
	return r.job.Purse.Pay(ctx, n)
}

// afford fails before anything is sent where what is left of the training cannot be paid: half
// of one is of no use.
func (r *run) afford(ctx context.Context) error {
	if r.job.Purse == nil {
		return nil
	}
	set := r.job.Set
	n := 2 * sent(set.Train[:1]) // the probe
	if r.saved.Checkpoint == "" {
		n += 2 * sent(set.Train[:1]) // the question how losses are summed
	}
	for _, batch := range r.batches()[len(r.saved.Log.Steps):] {
		n += sent(batch)
	}
	n += sent(set.Held)
	if !r.saved.Measured {
		n += sent(set.Held)
	}
	if err := r.job.Purse.Afford(ctx, n); err != nil {
		return fmt.Errorf("%d tokens are left to train on: %w", n, err)
	}
	return nil
}

// sent are the tokens of rows as [newDatum] sends them: up to the last that carries loss.
func sent(rows []trainset.Row) int {
	n := 0
	for _, row := range rows {
		for t := len(row.Loss) - 1; t > 0; t-- {
			if row.Loss[t] {
				n += t
				break
			}
		}
	}
	return n
}
