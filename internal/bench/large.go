package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"stargate/internal/kernel"
	"stargate/internal/llama"
)

// A model that is larger than half of a small machine's memory: 13.5 GB in bf16. Its files are
// holes, so that disk and time to make it do not matter; to memory they are files like others.
var largeConfig = llama.Config{ModelType: "llama", VocabSize: 32000, HiddenSize: 4096, IntermediateSize: 11008, NumHiddenLayers: 32,
	NumAttentionHeads: 32, MaxPositionEmbeddings: 4096}

const (
	shardBytes  = 5_000_000_000 // as Hugging Face cuts them
	largePrompt = 16
	largeTokens = 2
)

// large opens the large model, generates two tokens and says what that took.
func large(o options, out io.Writer) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	s, err := newSides(o)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.dir, "stargate-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	size, shards, err := writeHoles(dir, largeConfig)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\n%.1f GB in %d shards, memory of the machine %s\n", strings.Replace(s.heading(), "config S", "a large model", 1), float64(size)/1e9, shards, memoryTotal())
	c := exec.Command(exe)
	c.Stderr = os.Stderr
	c.Env = append(os.Environ(), fmt.Sprintf("PEER_THREADS=%d", o.threads), directoryVariable+"="+dir, childVariable+"=large")
	text, err := c.Output()
	if err != nil {
		return fmt.Errorf("large model: %w", err)
	}
	_, err = out.Write(text)
	return err
}

// largeChild is what a process of its own does.
func largeChild(out io.Writer) error {
	dir := os.Getenv(directoryVariable)
	pool := kernel.NewPool(0)
	defer pool.Close()
	start := clock()
	c, err := llama.LoadConfig(os.DirFS(dir))
	if err != nil {
		return err
	}
	m, err := openModel(dir, asStored, c.WithDefaults(), 1, pool)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "open            %8.3f s   %s\n", clock()-start, memoryOf())
	start = clock()
	spans, err := m.spans(newRand(), 1, largePrompt)
	if err != nil {
		return err
	}
	spans[0].WantLogits = true
	m.Forward(spans)
	fmt.Fprintf(out, "prompt of %-5d %8.3f s   %s\n", largePrompt, clock()-start, memoryOf())
	for i := range largeTokens {
		start = clock()
		spans[0].Start, spans[0].Tokens = largePrompt+i, []int32{argmax(spans[0].Logits)}
		m.Forward(spans)
		fmt.Fprintf(out, "token %d         %8.3f s   %s\n", i+1, clock()-start, memoryOf())
	}
	return nil
}

// memoryOf is what Linux says of this process: pages that files fill, which it may take back, and
// others.
func memoryOf() string {
	status := fields("/proc/self/status")
	if status["RssAnon"] == "" {
		return "(memory not known)"
	}
	return "of files " + status["RssFile"] + ", of its own " + status["RssAnon"]
}

func memoryTotal() string { return fields("/proc/meminfo")["MemTotal"] }

// fields are the lines "key: value" of a file, none where it cannot be read.
func fields(path string) map[string]string {
	out := map[string]string{}
	data, err := os.ReadFile(path)
	if err != nil {
		return out
	}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			out[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return out
}

// writeHoles makes a Hugging Face directory in shards whose numbers are zeros.
func writeHoles(dir string, c llama.Config) (size int64, shards int, err error) {
	c = c.WithDefaults()
	params, err := c.Shapes()
	if err != nil {
		return 0, 0, err
	}
	config, err := json.Marshal(c)
	if err != nil {
		return 0, 0, err
	}
	if err := os.WriteFile(filepath.Join(dir, llama.ConfigFile), config, 0o644); err != nil {
		return 0, 0, err
	}
	type tensor struct {
		DType   string   `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	places, header, end := map[string]string{}, map[string]tensor{}, int64(0)
	flush := func() error {
		if len(header) == 0 {
			return nil
		}
		shards++
		name := fmt.Sprintf("model-%05d.safetensors", shards)
		for t := range header {
			places[t] = name
		}
		text, err := json.Marshal(header)
		if err != nil {
			return err
		}
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		_, err = f.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...))
		err = errors.Join(err, f.Truncate(8+int64(len(text))+end), f.Close())
		size += end
		header, end = map[string]tensor{}, 0
		return err
	}
	for _, p := range params {
		bytes := int64(2)
		for _, n := range p.Shape {
			bytes *= int64(n)
		}
		if end+bytes > shardBytes {
			if err := flush(); err != nil {
				return 0, 0, err
			}
		}
		header[p.Name] = tensor{"BF16", p.Shape, [2]int64{end, end + bytes}}
		end += bytes
	}
	if err := flush(); err != nil {
		return 0, 0, err
	}
	index, err := json.Marshal(map[string]any{"weight_map": places})
	if err != nil {
		return 0, 0, err
	}
	return size, shards, os.WriteFile(filepath.Join(dir, llama.IndexFile), index, 0o644)
}
