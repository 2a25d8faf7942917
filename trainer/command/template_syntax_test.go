package command

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// The settings that templates give their frameworks, as TrainingArguments of transformers have
// them, and those that only one framework has. A key that is not here was not looked up in the
// framework's own documentation: do that first.
var (
	transformersKeys = words(`output_dir per_device_train_batch_size per_device_eval_batch_size gradient_accumulation_steps gradient_checkpointing
		learning_rate lr_scheduler_type warmup_steps weight_decay adam_beta1 adam_beta2 adam_epsilon max_grad_norm optim num_train_epochs seed bf16
		logging_steps logging_nan_inf_filter report_to eval_strategy eval_on_start save_strategy save_steps save_total_limit save_only_model resume_from_checkpoint`)
	frameworkKeys = map[string]map[string]bool{
		"trl":      words(`model_name_or_path dtype use_peft lora_r lora_alpha lora_dropout lora_target_modules dataset_name dataset_train_split dataset_test_split max_length packing`),
		"torchrun": words(`model_name_or_path dtype use_peft lora_r lora_alpha lora_dropout lora_target_modules dataset_name dataset_train_split dataset_test_split max_length packing`),
		"axolotl": words(`base_model adapter lora_r lora_alpha lora_dropout lora_target_modules datasets test_datasets dataset_prepared_path val_set_size sequence_len excess_length_strategy
			sample_packing eval_sample_packing micro_batch_size eval_batch_size num_epochs optimizer lr_scheduler fp16 pad_to_sequence_len`),
		"llamafactory": words(`model_name_or_path stage do_train finetuning_type lora_rank lora_alpha lora_dropout lora_target dataset eval_dataset tokenized_path template cutoff_len packing
			overwrite_output_dir plot_loss`),
	}
)

func words(text string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(text) {
		out[w] = true
	}
	return out
}

// What templates write is what its readers can read: YAML with known keys, scripts that a shell
// and, where it is installed, Python parse.
func TestRenderingsParse(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		python = ""
	}
	parse := func(what, text string, program ...string) {
		c := exec.CommandContext(t.Context(), program[0], program[1:]...)
		c.Stdin = strings.NewReader(text)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
	for _, name := range Templates() {
		tm, err := OpenTemplate(name)
		if err != nil {
			t.Fatal(err)
		}
		for kind, f := range map[string]Fields{"full": full(), "lora": low()} {
			what := name + ", " + kind
			r, err := tm.Render(f, nil)
			if err != nil {
				t.Fatal(err)
			}
			for file, text := range r.Files {
				switch filepath.Ext(file) {
				case ".yaml":
					var settings map[string]any
					if err := yaml.Load([]byte(text), &settings); err != nil {
						t.Errorf("%s, %s: %v", what, file, err)
					}
					for key := range settings {
						if known := frameworkKeys[name]; known != nil && !known[key] && !transformersKeys[key] {
							t.Errorf("%s, %s: the key %s is not one of the framework's", what, file, key)
						}
					}
				case ".py":
					if python != "" {
						parse(what+", "+file, text, python, "-c", "import ast, sys; ast.parse(sys.stdin.read())")
					}
				}
			}
			jobs := newJobs(Slurm{Options: map[string]string{"partition": "gpu", "time": "1:00:00"}})
			for launcher, scheduler := range map[string][]string{"process": nil, "sbatch": jobs.scheduler("stargate-m1", "/run/log")} {
				s := script{Attempt: 1, Name: "m1's", Dir: "/run/it's here", In: "/run", Env: map[string]string{"NOTE": "it's $quoted"}, Run: r.Run, Scheduler: scheduler}
				text, err := s.render()
				if err != nil {
					t.Fatal(err)
				}
				parse(fmt.Sprintf("%s, script of a %s", what, launcher), string(text), "/bin/sh", "-n")
			}
		}
	}
}
