package simserver

import "flag"

// Flags makes the options command-line flags; what they are now are the defaults.
func (o *Options) Flags(f *flag.FlagSet) {
	f.StringVar(&o.Model, "model", o.Model, "the model's name; none: every name will do")
	f.StringVar(&o.Key, "key", o.Key, "API key that clients have to send")
	f.Float64Var(&o.Scale, "scale", max(1, o.Scale), "how many times as fast as the clock the server's time runs")
	f.BoolVar(&o.Foreign, "foreign", o.Foreign, "take token ids of any vocabulary")
	f.Float64Var(&o.Lengths.Median, "median", max(1, o.Lengths.Median), "median of completion tokens")
	f.Float64Var(&o.Lengths.Sigma, "sigma", o.Lengths.Sigma, "deviation of the logarithm of completion tokens")
	f.Float64Var(&o.Network.Median, "network", o.Network.Median, "median delay of the network in milliseconds of the server's time")
	f.Float64Var(&o.Network.Sigma, "network-sigma", o.Network.Sigma, "deviation of its logarithm")

	h := &o.Hardware
	f.IntVar(&h.Batch, "batch", h.Batch, "sequences that run at once")
	f.IntVar(&h.Queue, "queue", h.Queue, "sequences that may wait")
	f.DurationVar(&h.Step, "step", h.Step, "time of a decode step")
	f.DurationVar(&h.StepPerSequence, "step-sequence", h.StepPerSequence, "and for each sequence in it")
	f.DurationVar(&h.PrefillPerToken, "prefill", h.PrefillPerToken, "time of a prompt token that is not in the cache")
	f.DurationVar(&h.ScorePerToken, "score", h.ScorePerToken, "and for its log-probability")
	f.IntVar(&h.CacheTokens, "cache", h.CacheTokens, "tokens in the prefix cache")

	x := &o.Faults
	f.Float64Var(&x.Busy, "busy", x.Busy, "share of requests answered with 429")
	f.Float64Var(&x.Error, "error", x.Error, "share answered with 500")
	f.Float64Var(&x.Cut, "cut", x.Cut, "share cut in the middle of the answer")
	f.Float64Var(&x.Garbage, "garbage", x.Garbage, "share answered with what is no JSON")
	f.Float64Var(&x.Empty, "empty", x.Empty, "share answered with nothing")
	f.Float64Var(&x.Truncated, "truncated", x.Truncated, "share answered with half of the completion")
	f.Float64Var(&x.WrongModel, "wrong-model", x.WrongModel, "share answered in another model's name")
	f.Float64Var(&x.Hang, "hang", x.Hang, "share never answered")
	f.DurationVar(&x.RetryAfter, "retry-after", x.RetryAfter, "what 429 asks for, in the server's time")
	f.IntVar(&x.KeyExpires, "key-expires", x.KeyExpires, "after so many requests the key is not accepted")
	f.Uint64Var(&x.Seed, "fault-seed", x.Seed, "names the stream of faults")
}
