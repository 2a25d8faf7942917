package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
)

func main() {
	if what := os.Getenv(childVariable); what != "" {
		words := strings.Fields(what)
		texts := map[string]func() error{ // those that print more than a number
			"iterate": func() error { return iterateChild(words, os.Stdout) },
			"large":   func() error { return largeChild(os.Stdout) },
		}
		if do := texts[words[0]]; do != nil {
			if err := do(); err != nil {
				fmt.Fprintln(os.Stderr, "bench:", err)
				os.Exit(1)
			}
			return
		}
		value, err := measure(words)
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		fmt.Println(value)
		return
	}
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "`times` that ours and the peers take turns")
	flag.IntVar(&o.threads, "threads", 2, "threads of every side")
	flag.BoolVar(&o.cpu, "cpu", false, "one thread, and the processor's time instead of the wall's")
	flag.StringVar(&o.only, "only", "", "only the rows whose name has this `word`; a regular expression with -models")
	flag.StringVar(&o.python, "python", "/usr/bin/python3", "the Python that has PyTorch")
	flag.StringVar(&o.under, "under", "", "`command` before that of each measurement, such as \"nice -n -10\"; it must wait for it")
	flag.BoolVar(&o.prefix, "prefix", false, "what the prefix cache saves of a nano iteration, instead of the table")
	flag.IntVar(&o.pairs, "pairs", 40, "`pairs` of the iteration, with -prefix")
	flag.BoolVar(&o.models, "models", false, "shapes of published models, instead of config S")
	flag.BoolVar(&o.large, "large", false, "a model of 13.5 GB, instead of config S")
	flag.StringVar(&o.shape, "shape", "", "only the shape of this `name`, 135M or 0.5B, with -models")
	flag.StringVar(&o.dtypes, "dtypes", "float32", "`types` of the peer's weights, float32 and bfloat16, with -models")
	flag.StringVar(&o.dir, "dir", "", "`directory` for the weights of -models, which stay there for the next time, and of -large (default a temporary one)")
	flag.Parse()
	if o.cpu {
		o.threads = 1
	}
	do := run
	switch {
	case o.prefix:
		do = func(o options) error { return prefix(o, os.Stdout) }
	case o.large:
		do = func(o options) error { return large(o, os.Stdout) }
	case o.models:
		do = func(o options) error { return models(o, os.Stdout) }
	}
	if err := do(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	rounds, threads int
	cpu             bool
	only, python    string
	under           string
	prefix          bool
	pairs           int

	models, large      bool
	shape, dtypes, dir string
}

func run(o options) error {
	sides, err := newSides(o)
	if err != nil {
		return err
	}
	fmt.Println(sides.heading())
	t := &table{out: os.Stdout, sides: sides}
	t.head()
	for _, r := range rows {
		if strings.Contains(r.name, o.only) {
			if err := t.add(r); err != nil {
				return err
			}
		}
	}
	t.foot()
	return nil
}

// load is the number of processes that wanted a core in the last minute, "" where the
// system does not tell.
func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(data), " ")
	if _, err := strconv.ParseFloat(first, 64); err != nil {
		return ""
	}
	return first
}
