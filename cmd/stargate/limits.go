package main

import (
	"fmt"
	"math"
	"strconv"

	"github.com/spf13/pflag"

	"stargate/lm/remote"
)

// limitFlags are --max-cost and --max-tokens.
func limitFlags(f *pflag.FlagSet, l *remote.Limits, aboutCost, aboutTokens string) {
	f.Var((*costLimit)(&l.Cost), "max-cost", aboutCost)
	f.Var((*tokenLimit)(&l.Tokens), "max-tokens", aboutTokens)
}

// A limit that was mistyped must not be none.
type (
	costLimit  float64
	tokenLimit int64
)

func (l *costLimit) Set(s string) error {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || !(v > 0) || math.IsInf(v, 1) {
		return fmt.Errorf("want money above 0, such as 12.50; leave the flag out for no limit")
	}
	*l = costLimit(v)
	return nil
}

func (l *costLimit) String() string { return noneOr(float64(*l), 'g') }
func (l *costLimit) Type() string   { return "money" }

func (l *tokenLimit) Set(s string) error {
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || v <= 0 {
		return fmt.Errorf("want a whole number of tokens above 0; leave the flag out for no limit")
	}
	*l = tokenLimit(v)
	return nil
}

func (l *tokenLimit) String() string { return noneOr(float64(*l), 'f') }
func (l *tokenLimit) Type() string   { return "tokens" }

// noneOr is what help shows as a default: nothing for none.
func noneOr(v float64, format byte) string {
	if v == 0 {
		return ""
	}
	return strconv.FormatFloat(v, format, -1, 64)
}
