package tinker

import (
	"context"
	"errors"
	"math"
)

// What a result says where the loss is not the embedded engine's mean over a batch's tokens.
const (
	noteMean    = "The server averages each sequence's loss before it averages sequences, so short sequences count more than in the embedded engine, which averages over all trained tokens of a batch."
	noteUnknown = "The server does not tell gradient norms, so whether it sums weighted losses, as Tinker does, is not known."
)

// reduction finds out how the server makes one loss of many, on a model of its own with a
// learning rate of 0: twice the weights make twice the gradient where losses are summed, and the
// same gradient where they are divided by the weights. The answer is a note, "" if all is as it
// should be.
func (r *run) reduction(ctx context.Context) (note string, err error) {
	switch err := r.create(ctx); {
	case errors.Is(err, ErrFailed): // it may hold one model at a time, and one is there
		return noteUnknown, nil
	case err != nil:
		return "", err
	}
	one, err := r.norm(ctx, 1)
	if err != nil {
		return "", err
	}
	two, err := r.norm(ctx, 2)
	if err != nil {
		return "", err
	}
	if err := r.unload(ctx); err != nil {
		return "", err
	}
	switch ratio := two / one; {
	case math.Abs(ratio-2) < 0.05:
		return "", nil
	case math.Abs(ratio-1) < 0.05:
		return noteMean, nil
	}
	return noteUnknown, nil
}

// norm is the norm of the gradient of one row with its weights scaled; NaN if the server does
// not tell.
func (r *run) norm(ctx context.Context, scale float64) (float64, error) {
	data, err := datums(r.job.Set.Train[:1], scale)
	if err != nil {
		return 0, err
	}
	if err := r.pay(ctx, data); err != nil {
		return 0, err
	}
	var f, u future
	if err := r.post(ctx, "forward_backward", forwardBackwardRequest{r.model, lossRequest{data, "cross_entropy"}, r.next()}, &f, harmless); err != nil {
		return 0, err
	}
	if err := r.result(ctx, f, nil); err != nil {
		return 0, err
	}
	if err := r.post(ctx, "optim_step", optimRequest{r.model, adamParams{0, 0.9, 0.999, 1e-8, 0, 0}, r.next(), "optim_step"}, &u, harmless); err != nil {
		return 0, err
	}
	var out optimResult
	if err := r.result(ctx, u, &out); err != nil {
		return 0, err
	}
	if n := gradNorm(out.Metrics); n > 0 {
		return n, nil
	}
	return math.NaN(), nil
}

// unload frees the model, on servers that have the route.
func (r *run) unload(ctx context.Context) error {
	var f future
	switch err := r.post(ctx, "unload_model", unloadRequest{r.model, "unload_model"}, &f, harmless); {
	case errors.Is(err, ErrMissing):
		return nil
	case err != nil:
		return err
	}
	if err := r.result(ctx, f, nil); err != nil && !errors.Is(err, errLost) {
		return err
	}
	return nil
}
