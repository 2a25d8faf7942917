package chattemplate

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"

	"stargate/lm"
)

// jinja is a template as transformers compiles it: trim_blocks and lstrip_blocks are on,
// raise_exception is there, tools and documents are none.
//
// strftime_now is not defined: templates that would print today's date print the date they
// have for that case, so that a rendering depends on the conversation alone.
type jinja struct {
	template *exec.Template
	vars     Vars
}

func parseJinja(source string, vars Vars) (j jinja, err error) {
	defer recovered("parse", &err)
	settings := config.New()
	settings.TrimBlocks, settings.LeftStripBlocks = true, true
	template, err := exec.NewTemplate(templateName, settings, alone(source), &exec.Environment{
		Context: exec.EmptyContext().Update(builtins.GlobalFunctions).Update(builtins.GlobalVariables),
		Filters: filters, Tests: builtins.Tests, ControlStructures: controlStructures, Methods: methods,
	})
	if err != nil {
		return jinja{}, fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	return jinja{template, vars}, nil
}

func (j jinja) render(chat []lm.Message, addGenerationPrompt bool) (string, error) {
	return j.execute(chat, map[string]any{"add_generation_prompt": addGenerationPrompt})
}

// renderMarked is render of a whole conversation with marks around what {% generation %} blocks give.
func (j jinja) renderMarked(chat []lm.Message) (string, error) {
	return j.execute(chat, map[string]any{"add_generation_prompt": false, markVariable: true})
}

func (j jinja) execute(chat []lm.Message, vars map[string]any) (text string, err error) {
	defer recovered("render", &err)
	messages := make(list, len(chat))
	for i, m := range chat {
		messages[i] = map[string]any{"role": string(m.Role), "content": m.Content}
	}
	var raised error // gonja turns errors into text; keep the one the template asked for
	vars["messages"], vars["tools"], vars["documents"] = messages, nil, nil
	vars["raise_exception"] = func(why string) (string, error) {
		raised = errors.New(why)
		return "", raised
	}
	// A token the model does not have is undefined, as in transformers.
	for name, token := range map[string]string{"bos_token": j.vars.BOS, "eos_token": j.vars.EOS} {
		if token != "" {
			vars[name] = token
		}
	}
	text, err = j.template.ExecuteToString(exec.NewContext(vars))
	if raised != nil {
		return "", fmt.Errorf("%w: it refuses this conversation: %w", ErrTemplate, raised)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	return text, nil
}

// recovered makes an error of a panic in the template engine: templates come with models
// from anywhere, and one that trips the engine must not end a run.
func recovered(doing string, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: the template engine failed to %s it: %v", ErrTemplate, doing, r)
	}
}

// alone is a loader that knows one template: a model's template cannot include files.
type alone string

const templateName = "chat_template"

func (a alone) Read(path string) (io.Reader, error) {
	if path != templateName {
		return nil, fmt.Errorf("a chat template cannot read %q", path)
	}
	return strings.NewReader(string(a)), nil
}

func (alone) Resolve(path string) (string, error) { return path, nil }

func (a alone) Inherit(string) (loaders.Loader, error) { return a, nil }
