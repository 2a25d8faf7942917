package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"stargate/lm/local"
	"stargate/nano"
	"stargate/serve"
)

func serveCommand() *cobra.Command {
	var addr, keyEnv, keyFile, logLevel string
	var o serve.Options
	var m local.Options
	c := &cobra.Command{
		Use:   "serve [MODEL]",
		Short: "Serve a model behind the routes of OpenAI and vLLM",
		Long: `Serve a Hugging Face directory, a model ORG/NAME of its cache, or without either the built-in
model over HTTP:
/v1/chat/completions, /v1/completions (with echo, logprobs and prompt_logprobs, token ids in and
out), /v1/models, /tokenize, /detokenize, /health and /metrics. With --lora-dir also
/v1/load_lora_adapter and /v1/unload_lora_adapter: PEFT adapters of the model below that
directory, each under a name of its own; an adapter takes its own numbers, not the model's again.

Without an API key only this machine is served. A key comes from an environment variable or
from a file with one key per line, never from the command line, where others could read it.`,
		Example: "  stargate serve\n  stargate serve runs/nano/models/m2 --name m2 --addr 127.0.0.1:8080\n  stargate serve DIR --addr 0.0.0.0:8000 --api-key-env STARGATE_KEY",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := ""
			if len(args) == 1 {
				dir = args[0]
			}
			if o.Name == "" {
				o.Name = servedName(dir)
			}
			var err error
			if dir, err = modelDir(dir); err != nil {
				return err
			}
			if o.Keys, err = apiKeys(keyEnv, keyFile); err != nil {
				return err
			}
			for _, dir := range o.AdapterDirs {
				if info, err := os.Stat(dir); err != nil {
					return fmt.Errorf("--lora-dir: %w", err)
				} else if !info.IsDir() {
					return fmt.Errorf("--lora-dir: %s is no directory", dir)
				}
			}
			var level slog.Level
			if err := level.UnmarshalText([]byte(logLevel)); err != nil {
				return fmt.Errorf("%w: --log-level %s: want debug, info, warn or error", errUsage, logLevel)
			}
			o.Log = slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
			model, err := openServed(dir, m)
			if err != nil {
				return err
			}
			defer model.Close()
			s := serve.New(model, o)
			defer s.Close()
			l, err := s.Listen(addr)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(c.OutOrStdout(), "http://%s/v1\n", l.Addr()); err != nil {
				return err
			}
			return s.Serve(c.Context(), l)
		},
	}
	f := c.Flags()
	f.StringVar(&addr, "addr", "127.0.0.1:8000", "address to listen on; port 0 takes a free one")
	f.StringVar(&o.Name, "name", "", "what clients call the model (default the directory's name, or ORG/NAME)")
	f.StringVar(&keyEnv, "api-key-env", "", "environment variable that holds the API key")
	f.StringVar(&keyFile, "api-key-file", "", "file with API keys, one a line")
	f.StringVar(&logLevel, "log-level", "info", "debug, info, warn or error")
	f.IntVar(&m.Workers, "workers", 0, "processors to use (default all)")
	f.IntVar(&m.Context, "context", 0, "most tokens of a prompt with its continuation (default the model's)")
	f.IntVar(&m.Sequences, "batch", 0, "most sequences of a step (default 128)")
	f.IntVar(&m.KVBytes, "kv-bytes", 0, "memory of keys and values (default 64 MiB, or one full context)")
	f.Int64Var(&o.Limits.Body, "max-body", 0, "most bytes of a request (default 8 MiB)")
	f.IntVar(&o.Limits.Batch, "max-choices", 0, "most completions of a request (default 128)")
	f.StringVar((*string)(&m.Weights), "weights", "", "int8: predict with weights rounded to bytes, about twice as fast one request at a time; log-probabilities are then those of the rounded model (default the model's own)")
	f.IntVar(&o.Limits.Sequences, "max-sequences", 0, "most completions in flight, then clients get 429 (default 256)")
	f.StringArrayVar(&o.AdapterDirs, "lora-dir", nil, "directory below which clients may load LoRA adapters from; may be repeated (default none)")
	f.IntVar(&o.Limits.Adapters, "max-loras", 0, "most LoRA adapters loaded at once (default 8)")
	f.IntVar(&o.Limits.AdapterRank, "max-lora-rank", 0, "highest rank of a LoRA adapter (default 256)")
	f.DurationVar(&o.Limits.Time, "timeout", 0, "most time for a request (default 10m)")
	f.DurationVar(&o.Limits.Grace, "grace", 0, "time for requests in flight when the server ends (default 30s)")
	return c
}

func openServed(dir string, o local.Options) (*local.Model, error) {
	if dir != "" {
		return local.OpenDir(dir, o)
	}
	files, err := nano.ModelFS()
	if err != nil {
		return nil, err
	}
	m, err := local.Open(files, o)
	if err != nil {
		return nil, fmt.Errorf("built-in model: %w", err)
	}
	return m, nil
}

// servedName is the model's name when none is given: that of the directory, or ORG/NAME.
func servedName(model string) string {
	if model == "" {
		return "nano"
	}
	abs, err := filepath.Abs(model)
	if _, missing := os.Stat(model); err != nil || missing != nil {
		return model
	}
	return filepath.Base(abs)
}

// apiKeys reads the keys from where the flags say.
func apiKeys(env, file string) (keys []string, err error) {
	if env != "" {
		key := strings.TrimSpace(os.Getenv(env))
		if key == "" {
			return nil, fmt.Errorf("%w: --api-key-env: the environment variable %s is empty or not set", errUsage, env)
		}
		keys = append(keys, key)
	}
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--api-key-file: %w", err)
		}
		n := len(keys)
		for line := range strings.Lines(string(data)) {
			if key := strings.TrimSpace(line); key != "" {
				keys = append(keys, key)
			}
		}
		if len(keys) == n {
			return nil, errors.New("--api-key-file: " + file + " has no key in it")
		}
	}
	return keys, nil
}
