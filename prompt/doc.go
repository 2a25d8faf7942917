// Package prompt renders every message the roles of STaR-GATE send.
//
// A [Set] is a directory of small text templates, one idea per file, in our own words;
// the methods of Set are the only way to render them, and take exactly what the role may
// see: [Set.Question] has no persona to leak. Two sets are embedded: "default" for
// instruction-tuned models and "nano" for the built-in model. [Load] overlays a user's
// directory, file by file.
//
// The files:
//
//	task.tmpl      the user's first message               {{.Name}} {{.Task}}
//	ask.tmpl       the Questioner's instruction, put after the last user message
//	closing.tmpl   the last answer with the task repeated {{.Answer}} {{.Task}}
//	positive.tmpl  the positive control                   {{.Name}} {{.Persona}} {{.Task}}
//	roleplay.tmpl  the Roleplayer's first message         {{.Name}} {{.Persona}} {{.Task}} {{.Question}}
//	oracle.tmpl    the Oracle's message                   {{.Name}} {{.Persona}} {{.Task}}
//	judge.tmpl     the Judge's message                    {{.Name}} {{.Persona}} {{.Task}} {{.A}} {{.B}}
//	persona.tmpl   asks for a new persona                 {{.Seeds}} {{.Initial}}
//	preamble.tmpl  optional, before a response            (no fields)
package prompt
