"""Three-way merge of listing fields: values, rules, policies. Pure."""
