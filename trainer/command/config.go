package command

import (
	"errors"
	"fmt"
	"time"

	"stargate/trainer/trainlog"
)

// Config says which program trains, and how it is run. The zero value of every field but
// Template is a sensible default.
type Config struct {
	Template   string            `yaml:"template"`              // name of a built-in template, or a directory
	Options    map[string]string `yaml:"options,omitempty"`     // for the template: {{option "name"}}
	Processes  int               `yaml:"processes,omitempty"`   // processes, commonly one for each GPU (default 1)
	MicroBatch int               `yaml:"micro_batch,omitempty"` // examples of one process between two accumulations (default: the largest up to 4 that divides)
	Precision  string            `yaml:"precision,omitempty"`   // "bf16" (default): products in bfloat16, weights in float32; "fp32"
	SaveEvery  int               `yaml:"save_every,omitempty"`  // steps between two checkpoints (default: a tenth of all steps)

	Dir string            `yaml:"dir,omitempty"` // where the program runs (default: the work directory)
	Env map[string]string `yaml:"env,omitempty"` // beside this process's own; written into the work directory, so no place for secrets

	Retries     int           `yaml:"retries,omitempty"`      // further attempts after a failed one, each time Train is called
	Stall       time.Duration `yaml:"stall,omitempty"`        // a program that writes no line for so long is ended (default 30 minutes; negative: never)
	Grace       time.Duration `yaml:"grace,omitempty"`        // between SIGTERM and SIGKILL (default 30 seconds)
	Pause       time.Duration `yaml:"pause,omitempty"`        // before the first retry, twice as long before each further (default 5 seconds)
	LogPatterns []string      `yaml:"log_patterns,omitempty"` // regular expressions for lines that package trainlog does not know

	Slurm *Slurm `yaml:"slurm,omitempty"` // run as a Slurm job instead of a process
}

// Slurm says how jobs are submitted.
type Slurm struct {
	Options map[string]string `yaml:"options,omitempty"` // sbatch's long options without dashes: partition, time, gres …; "" for one without a value
	Poll    time.Duration     `yaml:"poll,omitempty"`    // between two questions about the job (default 10 seconds)
	Detach  bool              `yaml:"detach,omitempty"`  // an interrupted run leaves its job running; the next one finds it
}

func (c Config) withDefaults() Config {
	if c.Processes == 0 {
		c.Processes = 1
	}
	if c.Precision == "" {
		c.Precision = "bf16"
	}
	if c.Stall == 0 {
		c.Stall = 30 * time.Minute
	}
	if c.Grace == 0 {
		c.Grace = 30 * time.Second
	}
	if c.Pause == 0 {
		c.Pause = 5 * time.Second
	}
	if c.Slurm != nil && c.Slurm.Poll == 0 {
		s := *c.Slurm
		s.Poll = 10 * time.Second
		c.Slurm = &s
	}
	return c
}

// Validate says what is wrong, in words that name the field.
func (c Config) Validate() error {
	switch {
	case c.Template == "":
		return errors.New("template is missing: " + available())
	case c.Processes < 0 || c.MicroBatch < 0 || c.SaveEvery < 0 || c.Retries < 0:
		return fmt.Errorf("processes, micro_batch, save_every and retries are %d, %d, %d and %d, want numbers from 0", c.Processes, c.MicroBatch, c.SaveEvery, c.Retries)
	case c.Precision != "" && c.Precision != "bf16" && c.Precision != "fp32":
		return fmt.Errorf("precision is %q, want bf16 or fp32", c.Precision)
	case c.Grace < 0 || c.Pause < 0:
		return fmt.Errorf("grace and pause are %s and %s, want no negative time", c.Grace, c.Pause)
	}
	_, err := trainlog.CompilePatterns(c.LogPatterns)
	return err
}

// accumulation divides a batch among processes and passes.
func (c Config) accumulation(batch int) (micro, passes int, err error) {
	if batch%c.Processes != 0 {
		return 0, 0, fmt.Errorf("batch_size %d cannot be divided among %d processes", batch, c.Processes)
	}
	each := batch / c.Processes
	micro = c.MicroBatch
	for m := 4; micro == 0; m-- {
		if each%m == 0 {
			micro = m
		}
	}
	if each%micro != 0 {
		return 0, 0, fmt.Errorf("batch_size %d on %d processes is %d examples each, which micro_batch %d does not divide", batch, c.Processes, each, micro)
	}
	return micro, each / micro, nil
}
