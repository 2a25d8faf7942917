package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"stargate/internal/llama"
)

// directoryVariable tells a process where the shape's model is.
const directoryVariable = "STARGATE_BENCH_DIR"

// modelRow is a line of the table of a shape.
type modelRow struct {
	name string
	what string                                          // for measureModel, and for peer_torch.py but for "open"
	work func(w llama.Work, c llama.Config) (flop int64) // of a token; nil: no product of note
	step int                                             // tokens of a step that reads the weights once, 0: of many
	peer bool
	ways []string // how ours holds weights
}

// everyWay is how a model can be held to predict.
var everyWay = []string{asStored, asFloat32, asInt8}

// modelRows are what is measured of a shape.
func modelRows(s shape) []modelRow {
	forward := func(w llama.Work) int64 { return w.Tokens(0, length) / length }
	attention := func(w llama.Work) int64 { return forward(w) - w.Layers }
	rows := []modelRow{
		{name: "open, ms", what: "open", ways: everyWay},
		{name: "prompt of 256", what: "prefill 5", ways: everyWay, peer: true, work: func(w llama.Work, _ llama.Config) int64 { return forward(w) + w.Head/length }},
		{name: "score 4 × 256", what: "score 3", ways: everyWay, peer: true, work: func(w llama.Work, _ llama.Config) int64 { return forward(w) + w.Head }},
	}
	for _, batch := range []int{1, 8, 32, 128} {
		rows = append(rows, modelRow{name: fmt.Sprintf("decode batch %d", batch), what: fmt.Sprintf("steps %d %d", batch, max(5, 24/batch)),
			ways: everyWay, peer: true, step: batch, work: func(w llama.Work, _ llama.Config) int64 { return w.Tokens(prompt, prompt+1) + w.Head }})
	}
	// The backward pass repeats the products of the forward one for the inputs, and for the
	// weights that are trained; of attention it has two for each.
	rows = append(rows, modelRow{name: "LoRA step, 4 × 256", what: "lora 2", ways: []string{asStored, asFloat32}, peer: true,
		work: func(w llama.Work, _ llama.Config) int64 { return 2*(w.Layers+w.Head) + 3*attention(w) }})
	if s.whole {
		rows = append(rows, modelRow{name: "train step, 4 × 256", what: "whole 2", ways: []string{asFloat32}, peer: true,
			work: func(w llama.Work, _ llama.Config) int64 { return 3 * (w.Layers + w.Head + attention(w)) }})
	}
	return rows
}

// reading is a number with the most memory that its process held.
type reading struct{ value, peak float64 }

// models prints a table for each shape whose name is o.shape, or for all.
func models(o options, out io.Writer) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	s, err := newSides(o)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, strings.Replace(s.heading(), "config S", "published shapes, random weights", 1))
	for _, x := range shapes {
		if o.shape == "" || o.shape == x.name {
			if err := modelTable(o, s, exe, x, out); err != nil {
				return fmt.Errorf("%s: %w", x.name, err)
			}
		}
	}
	return nil
}

func modelTable(o options, s *sides, exe string, x shape, out io.Writer) error {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return err
	}
	dir, remove, err := weightsDirectory(o.dir, x.name)
	if err != nil {
		return err
	}
	defer remove()
	child := func(what string) (reading, error) {
		return s.reading(what, exec.Command(exe), directoryVariable+"="+dir, childVariable+"="+what)
	}
	if _, err := os.Stat(filepath.Join(dir, llama.WeightsFile)); err != nil { // in a process of its own: this one stays small
		if _, err := child("write " + x.name); err != nil {
			return err
		}
	}
	peers := map[string]func(what string) (reading, error){}
	if s.peer != "" {
		for _, dtype := range strings.Fields(o.dtypes) {
			peers[dtype] = func(what string) (reading, error) {
				c := exec.Command(o.python, append([]string{script}, strings.Fields(what)...)...)
				return s.reading(what, c, slices.Concat(tuned, []string{"PEER_SHAPE=" + x.name, "PEER_DTYPE=" + dtype})...)
			}
		}
	}
	head := []string{x.like, "bf16, mapped", "float32", "int8", "of sgemm", "of memory"}
	for _, dtype := range strings.Fields(o.dtypes) {
		head = append(head, "PyTorch "+dtype)
	}
	writeCells(out, append(head, "ratio"))
	writeCells(out, strings.Split(strings.Repeat("--- ", len(head)+1), " ")[:len(head)+1])
	work, c := x.config.Work(), x.config.WithDefaults()
	for _, r := range modelRows(x) {
		if !only.MatchString(r.name) {
			continue
		}
		got := map[string][]reading{}
		take := func(side string, f func() (reading, error)) error {
			v, err := f()
			if err != nil {
				return fmt.Errorf("%s: %w", side, err)
			}
			got[side] = append(got[side], v)
			return nil
		}
		for range o.rounds {
			// What the machine gives in this round, beside what is made of it.
			if r.work != nil {
				if err := take("sgemm", func() (reading, error) { return child("sgemm-packed 1024 896 4864") }); err != nil {
					return err
				}
			}
			if r.step > 0 {
				if err := take("stream", func() (reading, error) { return child("stream") }); err != nil {
					return err
				}
			}
			for _, how := range r.ways {
				if err := take(how, func() (reading, error) { return child("model " + x.name + " " + how + " " + r.what) }); err != nil {
					return err
				}
			}
			for _, dtype := range strings.Fields(o.dtypes) {
				if f := peers[dtype]; f != nil && r.peer {
					if err := take("PyTorch "+dtype, func() (reading, error) { return f(r.what) }); err != nil {
						return err
					}
				}
			}
		}
		stored, full, rounded := middle(got[asStored]), middle(got[asFloat32]), middle(got[asInt8])
		best, peer := max(stored.value, full.value), 0.0 // rounded weights are another model
		line := []string{r.name, stored.String(), full.String(), rounded.String(), "", ""}
		if r.work != nil {
			line[4] = fmt.Sprintf("%.2f", best*float64(r.work(work, c))/1e9/middle(got["sgemm"]).value)
		}
		if r.step > 0 {
			var shares []string
			for _, b := range []float64{stored.value * x.matrixBytes(2), full.value * x.matrixBytes(4), rounded.value * x.matrixBytes(1)} {
				shares = append(shares, fmt.Sprintf("%.2f", b/float64(r.step)/1e9/middle(got["stream"]).value))
			}
			line[5] = strings.Join(shares, " ")
		}
		for _, dtype := range strings.Fields(o.dtypes) {
			v := middle(got["PyTorch "+dtype])
			line, peer = append(line, v.String()), max(peer, v.value)
		}
		ratio := ""
		if peer > 0 {
			ratio = fmt.Sprintf("%.1f", best/peer)
		}
		writeCells(out, append(line, ratio))
	}
	if o.only == "" {
		d, err := child("model " + x.name + " " + asInt8 + " difference")
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "\nint8: log-probabilities of random tokens differ by %.2g nats in the mean\n", d.value)
	}
	if l := load(); l != "" {
		fmt.Fprintf(out, "\nload %s at the end, %s\n\n", l, time.Now().UTC().Format("2006-01-02"))
	}
	return nil
}

// weightsDirectory is where a shape's weights are, or are to be written: below parent, to be found
// there again, or where there is none a temporary one.
func weightsDirectory(parent, name string) (dir string, remove func(), err error) {
	if parent == "" {
		dir, err = os.MkdirTemp("", "stargate-bench-")
		return dir, func() { _ = os.RemoveAll(dir) }, err // of what is temporary, the system removes the rest
	}
	dir, err = filepath.Abs(filepath.Join(parent, name))
	if err != nil {
		return "", nil, err
	}
	return dir, func() {}, os.MkdirAll(dir, 0o755)
}

// reading runs a measurement in a process of its own.
func (s *sides) reading(what string, c *exec.Cmd, environment ...string) (reading, error) {
	v, err := s.take(row{name: what}, c, environment...)
	if err != nil {
		return reading{}, err
	}
	return reading{v, peakMiB(c.ProcessState)}, nil
}

// middle is the median value, with the greatest memory.
func middle(xs []reading) reading {
	if len(xs) == 0 {
		return reading{}
	}
	var values []float64
	peak := 0.0
	for _, x := range xs {
		values, peak = append(values, x.value), max(peak, x.peak)
	}
	return reading{median(values), peak}
}

// String is the number, and in parentheses the memory in MiB.
func (r reading) String() string {
	switch {
	case r.value == 0:
		return ""
	case r.value < 100:
		return fmt.Sprintf("%.1f (%.0f)", r.value, r.peak)
	}
	return fmt.Sprintf("%.0f (%.0f)", r.value, r.peak)
}

func writeCells(out io.Writer, cells []string) {
	for i, c := range cells {
		width := 14
		if i == 0 {
			width = 20
		}
		fmt.Fprintf(out, "| %-"+strconv.Itoa(width)+"s ", c)
	}
	fmt.Fprintln(out, "|")
}
