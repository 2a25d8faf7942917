package main

import (
	"github.com/spf13/pflag"

	"stargate/runner"
)

// sourceFlags are those that say what a run reads. aboutGold is what --gold is for.
func sourceFlags(f *pflag.FlagSet, s *runner.Source, aboutGold string) {
	f.StringVar(&s.ModelDir, "model", "", "Hugging Face directory of the base model, or ORG/NAME that was pulled (default the built-in one)")
	f.StringVar(&s.Data, "data", "", "your data: a directory as stargate data writes it, or in the layout of the paper's authors")
	dataFlags(f, s, aboutGold)
}

// dataFlags are those of sourceFlags that mean the same in an evaluation.
func dataFlags(f *pflag.FlagSet, s *runner.Source, aboutGold string) {
	f.StringVar(&s.WorldFile, "world", "", "world file instead of the built-in world")
	f.StringVar(&s.PromptsDir, "prompts", "", "directory of templates that replace the experiment's, file by file")
	f.StringVar(&s.Tasks, "tasks", "", "your tasks")
	f.StringVar(&s.Personas, "personas", "", "your personas")
	f.StringVar(&s.Names, "names", "", "names of your personas, if they are in a file of their own")
	f.StringVar(&s.Gold, "gold", "", aboutGold)
}
