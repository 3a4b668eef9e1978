"""Models, data and what a person does with them: upload, study, choose, build."""
